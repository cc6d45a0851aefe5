// y = 1 / x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void reciprocal(const Tensor& x, Tensor& y);
}  // namespace cpu

inline constexpr PointwiseKernel reciprocal_kernel{"reciprocal", cpu::reciprocal};

}  // namespace costate
