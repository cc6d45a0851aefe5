// Softmax along the last axis and its vector-Jacobian product: a block a row, sums in f64.
#include "core/kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include "gpu/block_sum.h"
#include "gpu/elementwise.h"
#include "gpu/precision.h"

namespace costate::cuda {
namespace {

constexpr int threads = 128;

template <class T, class C = decltype(widen(T{}))>
__global__ void softmax_kernel(std::int64_t rows, std::int64_t width, const T* x, T* y) {
  kernel_begins();
  __shared__ C largest[threads];
  __shared__ double sums[threads];
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* from = x + row * width;
    T* to = y + row * width;
    C best = widen(from[threadIdx.x < width ? threadIdx.x : 0]);
    for (std::int64_t i = threadIdx.x + threads; i < width; i += threads) best = Larger{}(best, widen(from[i]));
    best = block_combine<threads>(best, largest, Larger{});
    double sum = 0;
    for (std::int64_t i = threadIdx.x; i < width; i += threads) sum += std::exp(widen(from[i]) - best);
    const C factor = static_cast<C>(1 / block_combine<threads>(sum, sums, Add{}));
    for (std::int64_t i = threadIdx.x; i < width; i += threads)
      to[i] = narrow<T>(std::exp(widen(from[i]) - best) * factor);
  }
}

template <class T, class C = decltype(widen(T{}))>
__global__ void softmax_vjp_kernel(std::int64_t rows, std::int64_t width, const T* y, const T* g, T* dx) {
  kernel_begins();
  __shared__ double sums[threads];
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const std::int64_t first = row * width;
    double sum = 0;
    for (std::int64_t i = threadIdx.x; i < width; i += threads)
      sum += static_cast<double>(widen(g[first + i])) * static_cast<double>(widen(y[first + i]));
    const C dot = static_cast<C>(block_combine<threads>(sum, sums, Add{}));
    for (std::int64_t i = threadIdx.x; i < width; i += threads)
      dx[first + i] = narrow<T>(widen(y[first + i]) * (widen(g[first + i]) - dot));
  }
}

dim3 blocks_of(std::int64_t rows) { return dim3(static_cast<unsigned>(std::min<std::int64_t>(rows, 1 << 20))); }

}  // namespace

void softmax(const Tensor& x, Tensor& y) {
  if (x.size() == 0) return;
  visit_floating(x.dtype(), "softmax", [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t width = x.dim(-1), rows = x.size() / width;
    launch("softmax", blocks_of(rows), dim3(threads), softmax_kernel<T>, rows, width, x.device_data<T>(),
           y.mutable_device_data<T>());
  });
}

void softmax_vjp(const Tensor& y, const Tensor& g, Tensor& dx) {
  if (y.size() == 0) return;
  visit_floating(y.dtype(), "softmax_vjp", [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t width = y.dim(-1), rows = y.size() / width;
    launch("softmax_vjp", blocks_of(rows), dim3(threads), softmax_vjp_kernel<T>, rows, width, y.device_data<T>(),
           g.device_data<T>(), dx.mutable_device_data<T>());
  });
}

}  // namespace costate::cuda
