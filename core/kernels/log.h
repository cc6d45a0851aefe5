// y = ln x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void log(const Tensor& x, Tensor& y);
}  // namespace cpu

inline constexpr PointwiseKernel log_kernel{"log", cpu::log};

}  // namespace costate
