// y = max(x, 0); NaN stays NaN
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void relu(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::relu) relu;
}  // namespace cuda

inline constexpr PointwiseKernel relu_kernel{"relu", cpu::relu, cuda::relu};

}  // namespace costate
