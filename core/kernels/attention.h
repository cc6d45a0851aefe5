// Scaled dot-product attention of many heads, and its vector-Jacobian product, without the matrix of all scores.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

/// q (n, t, heads d), k (n, s, heads d), v (n, s, heads e), y (n, t, heads e); for each sample and head
///   y = softmax(scale q k^T) v
struct AttentionSpec {
  std::int64_t heads = 1;
  double scale = 1;
};

/// Outputs of the vjp; k and v are computed if both are defined.
struct AttentionGrads {
  Tensor q, k, v;
};

namespace cpu {
void attention(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y);
void attention_vjp(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
                   AttentionGrads& grads);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::attention) attention;
[[gnu::weak]] decltype(cpu::attention_vjp) attention_vjp;
}  // namespace cuda

/// f32, f64 or bf16; the caller (autodiff/ops/attention) has checked the shapes.
inline constexpr Kernel<void(const AttentionSpec&, const Tensor&, const Tensor&, const Tensor&, Tensor&)>
    attention_kernel{"attention", cpu::attention, cuda::attention};
/// Gradients of <g, y>; the probabilities are computed again rather than kept.
inline constexpr Kernel<void(const AttentionSpec&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                             AttentionGrads&)>
    attention_vjp_kernel{"attention_vjp", cpu::attention_vjp, cuda::attention_vjp};

}  // namespace costate
