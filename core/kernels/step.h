// y = 1 where x > 0, else 0: the slope of relu
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void step(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::step) step;
}  // namespace cuda

inline constexpr PointwiseKernel step_kernel{"step", cpu::step, cuda::step};

}  // namespace costate
