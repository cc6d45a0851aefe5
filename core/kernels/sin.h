// y = sin x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void sin(const Tensor& x, Tensor& y);
}  // namespace cpu

inline constexpr PointwiseKernel sin_kernel{"sin", cpu::sin};

}  // namespace costate
