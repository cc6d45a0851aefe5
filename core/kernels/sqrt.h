// y = the square root of x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void sqrt(const Tensor& x, Tensor& y);
}  // namespace cpu

inline constexpr PointwiseKernel sqrt_kernel{"sqrt", cpu::sqrt};

}  // namespace costate
