// y = cos x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void cos(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
decltype(cpu::cos) cos;
}  // namespace cuda

inline constexpr PointwiseKernel cos_kernel{"cos", cpu::cos, in_cuda_build(cuda::cos)};

}  // namespace costate
