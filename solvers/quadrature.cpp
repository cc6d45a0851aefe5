// Gauss-Legendre quadrature with ten points, with six where that is enough, and Lagrange polynomials.
#include "solvers/quadrature.h"

#include <array>
#include <cmath>

#include "core/error.h"

namespace costate {
namespace {

struct Node {
  double x, weight;
};
/// Of rules of four, six and ten points, those to the right of the middle; as many lie to its left.
constexpr Node four[] = {{0.3399810435848563, 0.6521451548625461}, {0.8611363115940526, 0.3478548451374538}};
constexpr Node six[] = {{0.2386191860831969, 0.4679139345726910},
                        {0.6612093864662645, 0.3607615730481386},
                        {0.9324695142031521, 0.1713244923791704}};
constexpr Node ten[] = {{0.1488743389816312, 0.2955242247147529},
                        {0.4333953941292472, 0.2692667193099964},
                        {0.6794095682990244, 0.2190863625159820},
                        {0.8650633666889845, 0.1494513491505806},
                        {0.9739065285171717, 0.0666713443086881}};
constexpr int deepest = 45;  // halvings: reaches a logarithmic singularity at an end to rounding

constexpr std::size_t most = 3;
using Powers = std::array<double, most>;  // of f, f^2, f^3

/// Integrals of the powers of f, and of their absolute values.
struct Sums {
  Powers of{}, size{};
};

template <std::size_t n>
Sums gauss(const Node (&nodes)[n], const std::function<double(double)>& f, double a, double b) {
  const double middle = (a + b) / 2, half = (b - a) / 2;
  Sums sums;
  for (const auto& [x, weight] : nodes) {
    for (const double at : {middle - half * x, middle + half * x}) {
      const double value = f(at);
      double term = weight * half;
      for (std::size_t k = 0; k < most; ++k) term *= value, sums.of[k] += term, sums.size[k] += std::abs(term);
    }
  }
  return sums;
}

/// `whole` is the integral from a to b by ten points; `scale` what errors are measured by. The first `count` powers.
struct Refinement {
  const std::function<double(double)>& f;
  Powers scale;
  std::size_t count;

  [[nodiscard]] bool agree(const Powers& a, const Powers& b) const {
    bool fine = true;
    for (std::size_t k = 0; k < count; ++k) fine = fine && std::abs(a[k] - b[k]) <= 1e-15 * scale[k];
    return fine;
  }
  void add(double a, double b, const Sums& whole, int depth, Powers& sum) const {
    const double middle = (a + b) / 2;
    const Sums left = gauss(ten, f, a, middle), right = gauss(ten, f, middle, b);
    Powers both;
    for (std::size_t k = 0; k < most; ++k) both[k] = left.of[k] + right.of[k];
    if (depth > 0 && !agree(both, whole.of)) {
      add(a, middle, left, depth - 1, sum);
      add(middle, b, right, depth - 1, sum);
      return;
    }
    for (std::size_t k = 0; k < count; ++k) sum[k] += both[k];
  }
  /// A piece that six points have seen: enough where four say the same, as on the many short pieces of a discrete clock.
  void add_piece(double a, double b, const Sums& by_six, Powers& sum) const {
    if (!agree(gauss(four, f, a, b).of, by_six.of)) return add(a, b, gauss(ten, f, a, b), deepest, sum);
    for (std::size_t k = 0; k < count; ++k) sum[k] += by_six.of[k];
  }
};

}  // namespace

std::vector<double> integrate_powers(const std::function<double(double)>& f, std::size_t count,
                                     const std::vector<double>& ends) {
  require(count <= most, "quadrature: {} powers of at most {}", count, most);
  Refinement refinement{f, {}, count};
  std::vector<Sums> pieces;
  for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
    pieces.push_back(gauss(six, f, ends[i], ends[i + 1]));
    for (std::size_t k = 0; k < count; ++k) refinement.scale[k] += pieces.back().size[k];
  }
  Powers sum{};
  for (std::size_t i = 0; i < pieces.size(); ++i) refinement.add_piece(ends[i], ends[i + 1], pieces[i], sum);
  return {sum.begin(), sum.begin() + static_cast<std::ptrdiff_t>(count)};
}

double integrate(const std::function<double(double)>& f, double a, double b) {
  return a == b ? 0 : integrate_powers(f, 1, {a, b})[0];
}

double lagrange(const std::vector<double>& nodes, std::size_t j, double x) {
  double product = 1;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k != j) product *= (x - nodes[k]) / (nodes[j] - nodes[k]);
  }
  return product;
}

std::vector<double> lagrange_coefficients(const std::vector<double>& nodes, std::size_t j) {
  std::vector<double> c = {1};
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k == j) continue;
    c.push_back(0);
    for (std::size_t i = c.size(); i-- > 0;) c[i] = ((i > 0 ? c[i - 1] : 0) - nodes[k] * c[i]) / (nodes[j] - nodes[k]);
  }
  return c;
}

}  // namespace costate
