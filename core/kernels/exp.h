// y = e^x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void exp(const Tensor& x, Tensor& y);
}  // namespace cpu

inline constexpr PointwiseKernel exp_kernel{"exp", cpu::exp};

}  // namespace costate
