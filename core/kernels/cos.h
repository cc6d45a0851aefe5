// y = cos x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void cos(const Tensor& x, Tensor& y);
}  // namespace cpu

inline constexpr PointwiseKernel cos_kernel{"cos", cpu::cos};

}  // namespace costate
