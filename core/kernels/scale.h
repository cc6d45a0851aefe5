// y = c x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void scale(double c, const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::scale) scale;
}  // namespace cuda

inline constexpr Kernel<void(double, const Tensor&, Tensor&)> scale_kernel{"scale", cpu::scale, cuda::scale};

}  // namespace costate
