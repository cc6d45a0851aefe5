// y = erf x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void erf(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::erf) erf;
}  // namespace cuda

inline constexpr PointwiseKernel erf_kernel{"erf", cpu::erf, cuda::erf};

}  // namespace costate
