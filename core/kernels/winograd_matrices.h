// The matrices of Winograd's F(m, 3): m outputs of a filter of three taps are y = A^T [(G w) . (B^T x)], in m + 2 products.
#pragma once

namespace costate {

/// F(4,3) interpolates at 0, 1, -1, 1/2, -2 and infinity: a third of the worst error of the usual 0, 1, -1, 2, -2. F(2,3) takes
/// 0, 1, -1 and infinity. (Lavin and Gray 2015, arXiv 1509.09308, eq. 8-13; the points are Barabasz et al.'s, arXiv 1803.10986.)
template <int m>
struct WinogradMatrices;

template <>
struct WinogradMatrices<2> {
  double g[4][3] = {{-1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  double b[4][4] = {{-1, 0, 1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};  ///< B^T
  double a[2][4] = {{1, 1, 1, 0}, {0, 1, -1, 1}};                                ///< A^T
};

template <>
struct WinogradMatrices<4> {
  double g[6][3] = {{1, 0, 0},
                    {1.0 / 3, 1.0 / 3, 1.0 / 3},
                    {-1.0 / 3, 1.0 / 3, -1.0 / 3},
                    {-16.0 / 15, -8.0 / 15, -4.0 / 15},
                    {1.0 / 15, -2.0 / 15, 4.0 / 15},
                    {0, 0, 1}};
  double b[6][6] = {{1, -1.5, -2, 1.5, 1, 0}, {0, -1, 0.5, 2.5, 1, 0},  {0, 1, -2.5, 0.5, 1, 0},
                    {0, -2, -1, 2, 1, 0},     {0, 0.5, -1, -0.5, 1, 0}, {0, 1, -1.5, -2, 1.5, 1}};
  double a[4][6] = {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 0.5, -2, 0}, {0, 1, 1, 0.25, 4, 0}, {0, 1, -1, 0.125, -8, 1}};
};

/// From the same G w, the sum with the taps in opposite order. That filter's polynomial is r(x) = x^2 w(1/x), and the points are closed
/// under p -> -1/p: r(-p) = p^2 w(-1/p) is a power of two times w at another of them, zero and infinity changing places. Points -p are
/// every other number of x and of y with its sign turned.
template <int m>
constexpr WinogradMatrices<m> turned(const WinogradMatrices<m>& w) {
  constexpr int n = m + 2;
  WinogradMatrices<m> t = w;
  for (int i = 0; i < n; ++i) {
    const int p = i == 0 ? n - 1 : i == n - 1 ? 0 : i % 2 == 1 ? i + 1 : i - 1;
    const double factor = w.g[p][0] != 0 ? w.g[i][2] / w.g[p][0] : w.g[i][0] / w.g[p][2];
    for (int j = 0; j < n; ++j) t.b[p][j] = factor * (j % 2 == 0 ? 1 : -1) * w.b[i][j];
    for (int j = 0; j < m; ++j) t.a[j][p] = (j % 2 == 0 ? 1 : -1) * w.a[j][i];
  }
  return t;
}

}  // namespace costate
