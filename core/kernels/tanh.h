// y = tanh x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void tanh(const Tensor& x, Tensor& y);
}  // namespace cpu

inline constexpr PointwiseKernel tanh_kernel{"tanh", cpu::tanh};

}  // namespace costate
