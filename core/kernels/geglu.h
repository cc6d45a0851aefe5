// GEGLU and its vector-Jacobian product, fused. x (..., 2 c) is [a | b] along its last axis; y (..., c).
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

namespace cpu {
void geglu(const Tensor& x, Tensor& y);
void geglu_vjp(const Tensor& x, const Tensor& g, Tensor& dx);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::geglu) geglu;
[[gnu::weak]] decltype(cpu::geglu_vjp) geglu_vjp;
}  // namespace cuda

/// y = a b P(b), P(b) = (1 + erf(b / sqrt 2)) / 2
inline constexpr Kernel<void(const Tensor&, Tensor&)> geglu_kernel{"geglu", cpu::geglu, cuda::geglu};
/// dx = [g b P(b) | g a (P(b) + b p(b))], p(b) = e^(-b^2 / 2) / sqrt(2 pi), the derivative of P
inline constexpr Kernel<void(const Tensor&, const Tensor&, Tensor&)> geglu_vjp_kernel{"geglu_vjp", cpu::geglu_vjp,
                                                                                      cuda::geglu_vjp};

}  // namespace costate
