// y = the square root of x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void sqrt(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::sqrt) sqrt;
}  // namespace cuda

inline constexpr PointwiseKernel sqrt_kernel{"sqrt", cpu::sqrt, cuda::sqrt};

}  // namespace costate
