// SiLU and its vector-Jacobian product, fused.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

namespace cpu {
void silu(const Tensor& x, Tensor& y);
void silu_vjp(const Tensor& x, const Tensor& g, Tensor& dx);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::silu) silu;
[[gnu::weak]] decltype(cpu::silu_vjp) silu_vjp;
}  // namespace cuda

/// y = x / (1 + e^-x)
inline constexpr Kernel<void(const Tensor&, Tensor&)> silu_kernel{"silu", cpu::silu, cuda::silu};
/// dx = g s (1 + x (1 - s)), s = 1 / (1 + e^-x)
inline constexpr Kernel<void(const Tensor&, const Tensor&, Tensor&)> silu_vjp_kernel{"silu_vjp", cpu::silu_vjp,
                                                                                     cuda::silu_vjp};

}  // namespace costate
