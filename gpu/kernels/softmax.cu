// Softmax along the last axis and its vector-Jacobian product: a block a row, sums in f64.
#include "core/kernels/softmax.h"

#include <algorithm>

#include "gpu/block_sum.h"
#include "gpu/elementwise.h"
#include "gpu/precision.h"
#include "gpu/sigmoid.h"

namespace costate::cuda {
namespace {

constexpr int threads = 128;

/// f(vector) for this thread's of a row's.
template <class F>
__device__ void over_vectors(std::int64_t vectors, const F& f) {
#pragma unroll 2
  for (std::int64_t i = threadIdx.x; i < vectors; i += threads) f(i);
}

template <int v, class T, class C = decltype(widen(T{}))>
__global__ void __launch_bounds__(threads)
    softmax_kernel(std::int64_t rows, std::int64_t vectors, const T* __restrict__ x, T* __restrict__ y) {
  kernel_begins();
  __shared__ C largest[threads / 32];
  __shared__ double sums[threads / 32];
  using Word = Pack<T, v>;
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const Word* from = reinterpret_cast<const Word*>(x) + row * vectors;
    C best = from[threadIdx.x < vectors ? threadIdx.x : 0][0];
    over_vectors(vectors, [&](std::int64_t i) {
      const Word in = from[i];
      for (int e = 0; e < v; ++e) best = Larger{}(best, in[e]);
    });
    best = block_combine<threads>(best, largest, Larger{});
    double sum = 0;
    over_vectors(vectors, [&](std::int64_t i) {
      const Word in = from[i];
      C part = 0;
      for (int e = 0; e < v; ++e) part += fast_exp(in[e] - best);
      sum += part;
    });
    const C factor = static_cast<C>(1 / block_combine<threads>(sum, sums, Add{}));
    over_vectors(vectors, [&](std::int64_t i) {
      const Word in = from[i];
      C out[v];
      for (int e = 0; e < v; ++e) out[e] = fast_exp(in[e] - best) * factor;
      store_word(y + (row * vectors + i) * v, Word::of(out));
    });
  }
}

template <int v, class T, class C = decltype(widen(T{}))>
__global__ void __launch_bounds__(threads)
    softmax_vjp_kernel(std::int64_t rows, std::int64_t vectors, const T* __restrict__ y, const T* __restrict__ g,
                       T* __restrict__ dx) {
  kernel_begins();
  __shared__ double sums[threads / 32];
  using Word = Pack<T, v>;
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const Word *of_y = reinterpret_cast<const Word*>(y) + row * vectors,
               *of_g = reinterpret_cast<const Word*>(g) + row * vectors;
    double sum = 0;
    over_vectors(vectors, [&](std::int64_t i) {
      const Word a = of_y[i], b = of_g[i];
      for (int e = 0; e < v; ++e) sum += static_cast<double>(a[e]) * static_cast<double>(b[e]);
    });
    const C dot = static_cast<C>(block_combine<threads>(sum, sums, Add{}));
    over_vectors(vectors, [&](std::int64_t i) {
      const Word a = of_y[i], b = of_g[i];
      C out[v];
      for (int e = 0; e < v; ++e) out[e] = a[e] * (b[e] - dot);
      store_word(dx + (row * vectors + i) * v, Word::of(out));
    });
  }
}

/// f(T{}, elements a word) for the dtype of x and where it and the others, of its shape, lie.
template <class F, class... Others>
void with_words(const char* op, const F& f, const Tensor& x, const Others&... others) {
  visit_floating(x.dtype(), op, [&]<class T>(T type) {
    constexpr int wide = 16 / sizeof(T);
    if (x.dim(-1) % wide == 0 && aligned_16(x.device_data<T>()) &&
        (aligned_16(others.template device_data<T>()) && ...))
      f(type, std::integral_constant<int, wide>{});
    else
      f(type, std::integral_constant<int, 1>{});
  });
}

dim3 blocks_of(std::int64_t rows) { return dim3(static_cast<unsigned>(std::min<std::int64_t>(rows, 1 << 20))); }

}  // namespace

void softmax(const Tensor& x, Tensor& y) {
  if (x.size() == 0) return;
  const std::int64_t width = x.dim(-1), rows = x.size() / width;
  const auto go = [&]<class T, int v>(T, std::integral_constant<int, v>) {
    launch("softmax", blocks_of(rows), dim3(threads), softmax_kernel<v, T>, rows, width / v, x.device_data<T>(),
           y.mutable_device_data<T>());
  };
  with_words("softmax", go, x, y);
}

void softmax_vjp(const Tensor& y, const Tensor& g, Tensor& dx) {
  if (y.size() == 0) return;
  const std::int64_t width = y.dim(-1), rows = y.size() / width;
  const auto go = [&]<class T, int v>(T, std::integral_constant<int, v>) {
    launch("softmax_vjp", blocks_of(rows), dim3(threads), softmax_vjp_kernel<v, T>, rows, width / v, y.device_data<T>(),
           g.device_data<T>(), dx.mutable_device_data<T>());
  };
  with_words("softmax_vjp", go, y, g, dx);
}

}  // namespace costate::cuda
