// y = e^x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void exp(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::exp) exp;
}  // namespace cuda

inline constexpr PointwiseKernel exp_kernel{"exp", cpu::exp, cuda::exp};

}  // namespace costate
