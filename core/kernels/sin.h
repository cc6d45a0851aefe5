// y = sin x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void sin(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::sin) sin;
}  // namespace cuda

inline constexpr PointwiseKernel sin_kernel{"sin", cpu::sin, cuda::sin};

}  // namespace costate
