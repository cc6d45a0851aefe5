// Layer norm: group norm of images that are one pixel and one group, and its vector-Jacobian product. A warp a row, which it passes over
// twice, or three times; all but the first time it comes from the cache.
#pragma once

#include "gpu/group_norm.h"

namespace costate::cuda {

template <class T>
struct Rows {
  std::int64_t count;
  int width;
  double eps;
  bool silu;
  const T *gamma, *beta;
};

constexpr int rows_of_a_block = 4;

/// The row of this thread's warp: v neighbours a lane.
template <int v, class T>
struct Row {
  using C = decltype(widen(T{}));
  using In = Pack<T, v>;

  const Rows<T>& all;
  std::int64_t index = std::int64_t{blockIdx.x} * rows_of_a_block + threadIdx.x / 32;
  C mean = 0, rstd = 0, rest = 0;  ///< rest: what rounding has added to the mean

  __device__ explicit Row(const Rows<T>& rows) : all(rows) {}
  [[nodiscard]] __device__ bool is_there() const { return index < all.count; }

  /// f(first of v channels) for this lane's.
  template <class F>
  __device__ void over_channels(const F& f) const {
#pragma unroll 2
    for (int c = static_cast<int>(threadIdx.x) % 32 * v; c < all.width; c += 32 * v) f(c);
  }
  __device__ In at(const T* __restrict__ values, int c) const {
    return *reinterpret_cast<const In*>(values + index * all.width + c);
  }
  /// Sums of a lane are about its first number, vectors of them in C (Share::normalise says why).
  __device__ void normalise(const T* __restrict__ x) {
    const int first = static_cast<int>(threadIdx.x) % 32 * v;
    const C origin = first < all.width ? at(x, first)[0] : 0;
    const double shift = sizeof(T) == 8 ? widen(x[index * all.width]) : 0.0, weight = 1.0 / all.width;
    Two sum{0, 0};
    int count = 0;
    over_channels([&](int c) {
      const In in = at(x, c);
      C of_vector = 0, squares = 0;
      for (int e = 0; e < v; ++e) {
        const C d = in[e] - origin;
        of_vector += d;
        squares += d * d;
      }
      sum = sum + Two{of_vector, squares};
      count += v;
    });
    const double from = origin - shift, whole = count * from;
    const Two total = sum_of_lanes<32>({whole + sum.a, from * (whole + 2 * sum.a) + sum.b});
    const double off = total.a * weight, variance = total.b * weight - off * off;
    mean = static_cast<C>(shift + off);
    rest = static_cast<C>(mean - (shift + off));
    rstd = static_cast<C>(rsqrt((variance > 0 || variance != variance ? variance : 0) + all.eps));
  }
  /// What the v channels from c on are normalised by.
  __device__ void channels(int c, Channel<C> (&k)[v]) const {
    const In gamma = *reinterpret_cast<const In*>(all.gamma + c), beta = *reinterpret_cast<const In*>(all.beta + c);
    for (int e = 0; e < v; ++e) {
      const C scale = rstd * gamma[e];
      k[e] = {mean, rstd, scale, beta[e] + rest * scale};
    }
  }
};

template <int v, class T>
__global__ void __launch_bounds__(32 * rows_of_a_block)
    row_kernel(const __grid_constant__ Rows<T> rows, const T* __restrict__ x, T* __restrict__ y) {
  kernel_begins();
  using R = Row<v, T>;
  R row(rows);
  if (!row.is_there()) return;
  row.normalise(x);
  with(rows.silu, [&](auto silu) {
    row.over_channels([&](int c) {
      const auto in = row.at(x, c);
      Channel<typename R::C> k[v];
      row.channels(c, k);
      typename R::C out[v];
      for (int e = 0; e < v; ++e) {
        const auto u = k[e].u(in[e] - k[e].mean);
        out[e] = silu ? u * sigmoid(u) : u;
      }
      store_word(y + row.index * rows.width + c, R::In::of(out));
    });
  });
}

/// du and du xhat go to `by_channel` (row, channel), if wanted.
template <int v, class T>
__global__ void __launch_bounds__(32 * rows_of_a_block)
    row_vjp_kernel(const __grid_constant__ Rows<T> rows, const T* __restrict__ x, const T* __restrict__ g,
                   T* __restrict__ dx, Two* __restrict__ by_channel) {
  kernel_begins();
  using R = Row<v, T>;
  using C = typename R::C;
  R row(rows);
  if (!row.is_there()) return;
  row.normalise(x);
  Two sum{0, 0};
  row.over_channels([&](int c) {
    const auto in = row.at(x, c), back = row.at(g, c);
    Channel<C> k[v];
    row.channels(c, k);
    C of_vector = 0, with_x = 0;
    for (int e = 0; e < v; ++e) {
      const C centred = in[e] - row.mean, du = k[e].du(rows.silu, centred, back[e]), slope = du * (centred * row.rstd);
      if (by_channel != nullptr) by_channel[row.index * rows.width + c + e] = {du, slope};
      of_vector += k[e].scale * du;
      with_x += k[e].scale * slope;
    }
    sum = sum + Two{of_vector, with_x};
  });
  const Two total = sum_of_lanes<32>(sum);
  const C mean = static_cast<C>(total.a / rows.width), slope = row.rstd * static_cast<C>(total.b / rows.width);
  row.over_channels([&](int c) {
    const auto in = row.at(x, c), back = row.at(g, c);
    Channel<C> k[v];
    row.channels(c, k);
    C out[v];
    for (int e = 0; e < v; ++e)
      out[e] = k[e].scale * k[e].du(rows.silu, in[e] - row.mean, back[e]) - mean - slope * (in[e] - row.mean);
    store_word(dx + row.index * rows.width + c, R::In::of(out));
  });
}

template <class T, class... P, class... A>
void over_rows(const char* op, const Rows<T>& rows, void (*kernel)(Rows<T>, P...), const A&... args) {
  const std::int64_t blocks = (rows.count + rows_of_a_block - 1) / rows_of_a_block;
  launch(op, dim3(static_cast<unsigned>(blocks)), dim3(32 * rows_of_a_block), kernel, rows, args...);
}

}  // namespace costate::cuda
