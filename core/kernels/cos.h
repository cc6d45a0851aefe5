// y = cos x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void cos(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::cos) cos;
}  // namespace cuda

inline constexpr PointwiseKernel cos_kernel{"cos", cpu::cos, cuda::cos};

}  // namespace costate
