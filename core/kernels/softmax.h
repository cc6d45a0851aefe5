// Softmax along the last axis, and its vector-Jacobian product.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

namespace cpu {
void softmax(const Tensor& x, Tensor& y);
void softmax_vjp(const Tensor& y, const Tensor& g, Tensor& dx);

/// The same on rows in memory, `step` elements apart, in the calling thread; y may be x, dx may be g. T is float or double. The softmax
/// is that of factor x, and so dx is `factor` times as large.
/// Where a row ends inside a vector and there is room behind it, what lies there is finite, and a softmax leaves zeros.
template <class T>
void softmax_rows(const T* x, T* y, std::int64_t rows, std::int64_t width, std::int64_t step, double factor = 1);
template <class T>
void softmax_vjp_rows(const T* y, const T* g, T* dx, std::int64_t rows, std::int64_t width, std::int64_t step,
                      double factor = 1);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::softmax) softmax;
[[gnu::weak]] decltype(cpu::softmax_vjp) softmax_vjp;
}  // namespace cuda

/// y = e^(x - max x) / sum e^(x - max x)
inline constexpr Kernel<void(const Tensor&, Tensor&)> softmax_kernel{"softmax", cpu::softmax, cuda::softmax};
/// dx = y (g - <g, y>), with y the softmax
inline constexpr Kernel<void(const Tensor&, const Tensor&, Tensor&)> softmax_vjp_kernel{"softmax_vjp", cpu::softmax_vjp,
                                                                                        cuda::softmax_vjp};

}  // namespace costate
