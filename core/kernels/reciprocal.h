// y = 1 / x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void reciprocal(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::reciprocal) reciprocal;
}  // namespace cuda

inline constexpr PointwiseKernel reciprocal_kernel{"reciprocal", cpu::reciprocal, cuda::reciprocal};

}  // namespace costate
