// y = tanh x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void tanh(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::tanh) tanh;
}  // namespace cuda

inline constexpr PointwiseKernel tanh_kernel{"tanh", cpu::tanh, cuda::tanh};

}  // namespace costate
