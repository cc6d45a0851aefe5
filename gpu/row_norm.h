// Layer norm: group norm of images that are one pixel and one group, and its vector-Jacobian product. A warp a row, or a quarter of one
// a short row, which it passes over twice, or three times; all but the first time it comes from the cache.
#pragma once

#include "gpu/group_norm.h"

namespace costate::cuda {

template <class T>
struct Rows {
  std::int64_t count;
  int width;
  double eps, weight;  ///< weight: 1 / width
  bool silu;
  const T *gamma, *beta;
};

constexpr int threads_of_rows = 128, few_lanes = 8;

/// The row of this thread, that `lanes` threads have: v neighbours each. Behind the last row it is the last once more.
template <int v, int lanes, class T>
struct Row {
  using C = decltype(widen(T{}));
  using In = Pack<T, v>;

  const Rows<T>& all;
  int lane = static_cast<int>(threadIdx.x) % lanes;
  std::int64_t index = std::int64_t{blockIdx.x} * (threads_of_rows / lanes) + threadIdx.x / lanes;
  bool is_there;
  C mean = 0, rstd = 0, rest = 0;  ///< rest: what rounding has added to the mean

  __device__ explicit Row(const Rows<T>& rows) : all(rows), is_there(index < rows.count) {
    if (!is_there) index = all.count - 1;
  }

  /// f(first of v channels) for this lane's.
  template <class F>
  __device__ void over_channels(const F& f) const {
#pragma unroll 4
    for (int c = lane * v; c < all.width; c += lanes * v) f(c);
  }
  __device__ In at(const T* __restrict__ values, int c) const {
    return *reinterpret_cast<const In*>(values + index * all.width + c);
  }
  /// Sums of a lane are about its first number, vectors of them in C (Share::normalise says why).
  __device__ void normalise(const T* __restrict__ x) {
    const C origin = lane * v < all.width ? at(x, lane * v)[0] : 0;
    const double shift = sizeof(T) == 8 ? widen(x[index * all.width]) : 0.0;
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
    const Two total = sum_of_lanes(lanes, {whole + sum.a, from * (whole + 2 * sum.a) + sum.b});
    const double off = total.a * all.weight, variance = total.b * all.weight - off * off;
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

template <int v, int lanes, class T>
__global__ void __launch_bounds__(threads_of_rows)
    row_kernel(const __grid_constant__ Rows<T> rows, const T* __restrict__ x, T* __restrict__ y) {
  kernel_begins();
  using R = Row<v, lanes, T>;
  R row(rows);
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
      if (row.is_there) store_word(y + row.index * rows.width + c, R::In::of(out));
    });
  });
}

/// An addend comes to dx, if it is not null; du and du xhat go to `by_channel` (row, channel), if wanted.
template <int v, int lanes, class T>
__global__ void __launch_bounds__(threads_of_rows)
    row_vjp_kernel(const __grid_constant__ Rows<T> rows, const T* __restrict__ x, const T* __restrict__ g,
                   const T* __restrict__ addend, T* __restrict__ dx, Two* __restrict__ by_channel) {
  kernel_begins();
  using R = Row<v, lanes, T>;
  using C = typename R::C;
  R row(rows);
  row.normalise(x);
  Two sum{0, 0};
  row.over_channels([&](int c) {
    const auto in = row.at(x, c), back = row.at(g, c);
    Channel<C> k[v];
    row.channels(c, k);
    C of_vector = 0, with_x = 0;
    for (int e = 0; e < v; ++e) {
      const C centred = in[e] - row.mean, du = k[e].du(rows.silu, centred, back[e]), slope = du * (centred * row.rstd);
      if (by_channel != nullptr && row.is_there) by_channel[row.index * rows.width + c + e] = {du, slope};
      of_vector += k[e].scale * du;
      with_x += k[e].scale * slope;
    }
    sum = sum + Two{of_vector, with_x};
  });
  const Two total = sum_of_lanes(lanes, sum);
  const C mean = static_cast<C>(total.a * rows.weight), slope = row.rstd * static_cast<C>(total.b * rows.weight);
  with(addend != nullptr, [&](auto added) {
    row.over_channels([&](int c) {
      const auto in = row.at(x, c), back = row.at(g, c);
      typename R::In more{};
      if constexpr (added) more = row.at(addend, c);
      Channel<C> k[v];
      row.channels(c, k);
      C out[v];
      for (int e = 0; e < v; ++e) {
        out[e] = k[e].scale * k[e].du(rows.silu, in[e] - row.mean, back[e]) - mean - slope * (in[e] - row.mean);
        if constexpr (added) out[e] += more[e];
      }
      if (row.is_there) store_word(dx + row.index * rows.width + c, R::In::of(out));
    });
  });
}

/// Starts the kernel of few lanes a row if these have few vectors of `v` each, as the width alone says.
template <int v, class T, class... P, class... A>
void over_rows(const char* op, const Rows<T>& rows, void (*few)(Rows<T>, P...), void (*many)(Rows<T>, P...),
               const A&... args) {
  const bool short_rows = rows.width <= few_lanes * v * 8;
  const std::int64_t rows_of_a_block = threads_of_rows / (short_rows ? few_lanes : 32),
                     blocks = (rows.count + rows_of_a_block - 1) / rows_of_a_block;
  launch(op, dim3(static_cast<unsigned>(blocks)), dim3(threads_of_rows), short_rows ? few : many, rows, args...);
}

}  // namespace costate::cuda
