// y = ln x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void log(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::log) log;
}  // namespace cuda

inline constexpr PointwiseKernel log_kernel{"log", cpu::log, cuda::log};

}  // namespace costate
