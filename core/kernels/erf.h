// y = erf x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void erf(const Tensor& x, Tensor& y);
}  // namespace cpu

inline constexpr PointwiseKernel erf_kernel{"erf", cpu::erf};

}  // namespace costate
