// Winograd convolution: y = A^T [ (G w G^T) . (B^T x B) ] A over tiles of m x m outputs, one matrix product a point.
//
// Tiles of all images form one list. It goes by in stretches, three kernels each: tiles are transformed, multiplied point by point by
// the products of matrices that there are, and transformed back. Every number depends on its own tile only.
#include "gpu/winograd.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/kernels/copy.h"
#include "core/kernels/winograd_matrices.h"
#include "gpu/pieces.h"
#include "gpu/precision.h"
#include "gpu/products.h"

namespace costate::cuda {
namespace {

constexpr int threads = 128;

/// Channels of a thread: two, since a tile of 6 x 6 is held whole, and waits for memory are hidden by many threads.
constexpr int held = 2;
using Held = Pack<float, held>;

/// Tiles [first, first + count) of a list that goes by images and their rows, over pictures (h, w, channels) whose tiles have their first
/// numbers at (step * row - top, step * column - left).
struct Tiling {
  int h, w, channels, step, top, left, first, count;
  int across, each;  ///< tiles of a row, and of an image
  Divisor by_across, by_each, by_words;

  Tiling(const Tensor& picture, int m, std::int64_t top, std::int64_t left, std::int64_t down, std::int64_t across)
      : h(static_cast<int>(picture.dim(1))),
        w(static_cast<int>(picture.dim(2))),
        channels(static_cast<int>(picture.dim(3))),
        step(m),
        top(static_cast<int>(top)),
        left(static_cast<int>(left)),
        first(0),
        count(0),
        across(static_cast<int>(across)),
        each(static_cast<int>(down * across)),
        by_across(across),
        by_each(down * across),
        by_words(channels / held) {}

  struct Place {
    int image, i, j, channel;  ///< of the tile's first number
    std::int64_t first;        ///< its place in the picture, which may be outside
    std::int64_t within;       ///< its channels' in a matrix of the stretch
  };
  [[nodiscard]] std::int64_t threads_wanted() const { return std::int64_t{count} * (channels / held); }
  /// This thread's place. False where it is one too many.
  __device__ bool find(Place& p) const {
    const int words = channels / held, thread = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
    if (thread >= count * words) return false;
    const int tile = by_words.quotient(thread), image = by_each.quotient(first + tile),
              inner = first + tile - image * each, row = by_across.quotient(inner);
    p.image = image, p.i = row * step - top, p.j = (inner - row * across) * step - left;
    p.channel = (thread - tile * words) * held;
    p.first = ((std::int64_t{image} * h + p.i) * w + p.j) * channels + p.channel;
    p.within = std::int64_t{tile} * channels + p.channel;
    return true;
  }
  /// Of a tile's number (i, j).
  __device__ bool inside(const Place& p, int i, int j) const {
    return static_cast<unsigned>(p.i + i) < static_cast<unsigned>(h) &&
           static_cast<unsigned>(p.j + j) < static_cast<unsigned>(w);
  }
  __device__ std::int64_t at(const Place& p, int i, int j) const { return p.first + (i * w + j) * channels; }
  [[nodiscard]] __device__ int matrix() const { return count * channels; }
};

template <int m, bool gradient>
constexpr WinogradMatrices<m> matrices() {
  return gradient ? turned(WinogradMatrices<m>{}) : WinogradMatrices<m>{};
}

/// sum_i row[i] at(i): zeros fall away, since the row is known to the compiler.
template <int count, class At>
__device__ Held combine(const double (&row)[count], const At& at) {
  Held sum{};
#pragma unroll
  for (int i = 0; i < count; ++i) {
    if (row[i] == 0) continue;
    const Held next = at(i);
#pragma unroll
    for (int e = 0; e < held; ++e) sum.v[e] += static_cast<float>(row[i]) * next.v[e];
  }
  return sum;
}

/// f(i, j, element) of by tile by^T: columns first.
template <int rows, int n, class F>
__device__ void on_both_sides(const double (&by)[rows][n], const Held (&tile)[n][n], const F& f) {
  Held half[rows][n];
#pragma unroll
  for (int j = 0; j < n; ++j)
#pragma unroll
    for (int i = 0; i < rows; ++i) half[i][j] = combine(by[i], [&](int k) { return tile[k][j]; });
#pragma unroll
  for (int i = 0; i < rows; ++i)
#pragma unroll
    for (int j = 0; j < rows; ++j) f(i, j, combine(by[j], [&](int k) { return half[i][k]; }));
}

/// points (point, tile, channel) = B^T x B.
template <int m, bool gradient>
__global__ void __launch_bounds__(threads) transform_tiles(Tiling t, const float* x, float* points) {
  kernel_begins();
  constexpr int n = m + 2;
  constexpr auto by = matrices<m, gradient>();
  Tiling::Place p;
  if (!t.find(p)) return;
  Held pixels[n][n];
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int j = 0; j < n; ++j)
      pixels[i][j] = t.inside(p, i, j) ? *reinterpret_cast<const Held*>(x + t.at(p, i, j)) : Held{};
  on_both_sides(by.b, pixels, [&](int i, int j, const Held& v) {
    store_word(points + p.within + std::int64_t{i * n + j} * t.matrix(), v);
  });
}

/// y = A^T products A + bias, whose rows lie `bias_step` apart from image to image, + addend; either may be null.
template <int m, bool gradient>
__global__ void __launch_bounds__(threads) transform_back(Tiling t, const float* products, const float* bias,
                                                          std::int64_t bias_step, const float* addend, float* y) {
  kernel_begins();
  constexpr int n = m + 2;
  constexpr auto by = matrices<m, gradient>();
  Tiling::Place p;
  if (!t.find(p)) return;
  Held sums[n][n];
  Held start{};  // read one by one: a bias may lie anywhere
#pragma unroll
  for (int e = 0; e < held; ++e)
    if (bias != nullptr) start.v[e] = bias[p.image * bias_step + p.channel + e];
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int j = 0; j < n; ++j)
      sums[i][j] = *reinterpret_cast<const Held*>(products + p.within + std::int64_t{i * n + j} * t.matrix());
  Held more[m][m] = {};  // read before the first number is written, since nvcc moves no load past a write
  if (addend != nullptr)
#pragma unroll
    for (int i = 0; i < m; ++i)
#pragma unroll
      for (int j = 0; j < m; ++j)
        if (t.inside(p, i, j)) more[i][j] = *reinterpret_cast<const Held*>(addend + t.at(p, i, j));
  on_both_sides(by.a, sums, [&](int i, int j, Held v) {
#pragma unroll
    for (int e = 0; e < held; ++e) v.v[e] = v.v[e] + start.v[e] + more[i][j].v[e];
    if (t.inside(p, i, j)) store_word(y + t.at(p, i, j), v);
  });
}

/// to (point, in, out) = G w G^T, computed in f64.
template <int m>
__global__ void __launch_bounds__(threads) transform_weights(const float* w, int count, float* to) {
  kernel_begins();
  constexpr int n = m + 2;
  constexpr WinogradMatrices<m> by;
  const int c = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (c >= count) return;
  double taps[3][3], half[n][3];
#pragma unroll
  for (int tap = 0; tap < 9; ++tap) taps[tap / 3][tap % 3] = static_cast<double>(w[std::int64_t{tap} * count + c]);
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int j = 0; j < 3; ++j)
      half[i][j] = by.g[i][0] * taps[0][j] + by.g[i][1] * taps[1][j] + by.g[i][2] * taps[2][j];
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int j = 0; j < n; ++j)
      to[std::int64_t{i * n + j} * count + c] =
          static_cast<float>(by.g[j][0] * half[i][0] + by.g[j][1] * half[i][1] + by.g[j][2] * half[i][2]);
}

/// t where it can be read in words.
Tensor aligned(const Tensor& t) { return !t.defined() || aligned_16(t.device_data<float>()) ? t : copy_of(t); }

dim3 blocks_of(std::int64_t wanted) { return dim3(static_cast<unsigned>(pieces_of(wanted, threads))); }

template <int m>
Tensor transformed_weights(const Tensor& w) {
  const std::int64_t count = w.dim(2) * w.dim(3);
  const auto make = [&] {
    Tensor all = Tensor::empty({(m + 2) * (m + 2), w.dim(2), w.dim(3)}, w.kind());
    launch("winograd weights", blocks_of(count), dim3(threads), transform_weights<m>, w.device_data<float>(),
           static_cast<int>(count), all.mutable_device_data<float>());
    return all;
  };
  return *w.storage().derived<Tensor>(fmt::format("winograd {} {} {}", m, w.offset(), w.shape()), make);
}

template <int m, bool gradient>
void convolve(const WinogradConv& conv, const Tensor& source, const Tensor& w, const Tensor& bias, const Tensor& addend,
              Tensor& out, std::int64_t workspace) {
  constexpr std::int64_t points = (m + 2) * (m + 2), rows = 64;  // of a product's tile
  const char* const op = gradient ? "conv2d_dx" : "conv2d";
  const std::int64_t down = pieces_of(out.dim(1), m), across = pieces_of(out.dim(2), m), in = source.dim(3),
                     columns = out.dim(3), tiles = out.dim(0) * down * across;
  require(tiles < std::int64_t{1} << 31, "{}: {} are more tiles than a kernel counts; use a smaller batch", op, tiles);
  const std::int64_t most = std::max(rows, workspace / (points * (in + columns) * 4) / rows * rows),
                     each = pieces_of(pieces_of(tiles, pieces_of(tiles, most)), rows) * rows;
  const Tensor weights = transformed_weights<m>(w), start = in_type_of(source, bias),
               more = aligned(in_type_of(source, addend));
  Tensor transformed = Tensor::empty({points, std::min(each, tiles), in}, source.kind()),
         products = Tensor::empty({points, std::min(each, tiles), columns}, source.kind());
  Tiling from(source, m, conv.top, conv.left, down, across), to(out, m, 0, 0, down, across);
  const Matrix<float, gradient> right{weights.device_data<float>(), Start(in * columns), w.dim(3)};
  for (std::int64_t first = 0; first < tiles; first += each) {
    const std::int64_t count = std::min(each, tiles - first);
    from.first = to.first = static_cast<int>(first), from.count = to.count = static_cast<int>(count);
    launch(op, blocks_of(from.threads_wanted()), dim3(threads), transform_tiles<m, gradient>, from,
           source.device_data<float>(), transformed.mutable_device_data<float>());
    const Matrix<float, true> left{transformed.device_data<float>(), Start(count * in), in};
    const Output<float> sums{products.mutable_device_data<float>(), Start(count * columns), columns};
    multiply(float{}, op, left, right, sums, {points, count, columns, in, piece_of(in, winograd_chain)});
    launch(op, blocks_of(to.threads_wanted()), dim3(threads), transform_back<m, gradient>, to,
           products.device_data<float>(), start.defined() ? start.device_data<float>() : nullptr,
           start.defined() && start.rank() == 2 ? columns : 0, more.defined() ? more.device_data<float>() : nullptr,
           out.mutable_device_data<float>());
  }
}

}  // namespace

void winograd(const WinogradConv& conv, const Tensor& source, const Tensor& w, const Tensor& bias, const Tensor& addend,
              Tensor& out, std::int64_t workspace) {
  if (conv.m == 4)
    conv.gradient ? convolve<4, true>(conv, source, w, bias, addend, out, workspace)
                  : convolve<4, false>(conv, source, w, bias, addend, out, workspace);
  else
    conv.gradient ? convolve<2, true>(conv, source, w, bias, addend, out, workspace)
                  : convolve<2, false>(conv, source, w, bias, addend, out, workspace);
}

}  // namespace costate::cuda
