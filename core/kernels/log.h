// y = ln x
#pragma once

#include "core/kernels/pointwise.h"

namespace costate {

namespace cpu {
void log(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
decltype(cpu::log) log;
}  // namespace cuda

inline constexpr PointwiseKernel log_kernel{"log", cpu::log, in_cuda_build(cuda::log)};

}  // namespace costate
