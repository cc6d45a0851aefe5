// Group normalisation with an optional SiLU behind it, and its vector-Jacobian products.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

/// x (n, h, w, c), c a multiple of groups; mean and variance over (h, w, c / groups) of each image and group:
///   u = (x - mean) / sqrt(variance + eps) * gamma + beta,  y = silu ? u / (1 + e^-u) : u
struct GroupNormSpec {
  std::int64_t groups = 1;
  double eps = 1e-5;
  bool silu = false;
};

/// Outputs of the vjp; an undefined tensor is not computed.
struct GroupNormGrads {
  Tensor x, gamma, beta;
};

namespace cpu {
void group_norm(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor& y);
void group_norm_vjp(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                    const Tensor& g, const Tensor& addend, GroupNormGrads& grads);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::group_norm) group_norm;
[[gnu::weak]] decltype(cpu::group_norm_vjp) group_norm_vjp;
}  // namespace cuda

/// gamma, beta (c). Statistics are accumulated in f64, in an order that depends on the image's size only.
inline constexpr Kernel<void(const GroupNormSpec&, const Tensor&, const Tensor&, const Tensor&, Tensor&)>
    group_norm_kernel{"group_norm", cpu::group_norm, cuda::group_norm};
/// Gradients of <g, y>, and an addend (as x, or undefined) to x's; the statistics are computed again rather than kept.
inline constexpr Kernel<void(const GroupNormSpec&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                             const Tensor&, GroupNormGrads&)>
    group_norm_vjp_kernel{"group_norm_vjp", cpu::group_norm_vjp, cuda::group_norm_vjp};

}  // namespace costate
