// y = 1 / (1 + e^-x)
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void sigmoid(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::sigmoid) sigmoid;
}  // namespace cuda

inline constexpr PointwiseKernel sigmoid_kernel{"sigmoid", cpu::sigmoid, cuda::sigmoid};

}  // namespace costate
