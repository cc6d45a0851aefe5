// y = 1 where x > 0, else 0: the slope of relu
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void step(const Tensor& x, Tensor& y);
}  // namespace cpu

inline constexpr PointwiseKernel step_kernel{"step", cpu::step};

}  // namespace costate
