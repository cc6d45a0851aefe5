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

/// Outputs of the vjp; k and v are computed if both are defined. Or all three in one: so many lines, each one of q, one of k and one of v;
/// a line is a token, or one head of it.
struct AttentionGrads {
  Tensor q = {}, k = {}, v = {}, all = {};
  std::int64_t lines = 0;  ///< of `all`
  [[nodiscard]] bool of_keys() const { return all.defined() || (k.defined() && v.defined()); }
  /// Room for the three that `all` is to be made of.
  [[nodiscard]] AttentionGrads apart(const Tensor& like_q, const Tensor& like_k, const Tensor& like_v) const {
    const auto room = [](const Tensor& t) { return Tensor::empty(t.shape(), t.kind()); };
    return {room(like_q), room(like_k), room(like_v)};
  }
};

/// Where the tokens of (n, t, heads d) lie, and from one token, and one head, to the next.
template <class T>
struct Tokens {
  T* data;
  std::int64_t token, head;
};

/// In place, if they are dense or strips of lines that are tokens or heads.
template <class T>
Tokens<const T> tokens_in(const Tensor& x, std::int64_t heads) {
  const std::int64_t width = x.dim(2) / heads;
  const bool of_heads = heads > 1 && x.run() == width;
  const auto [data, step] = x.device_lines<T>(of_heads ? width : x.dim(2));
  return of_heads ? Tokens<const T>{data, heads * step, step} : Tokens<const T>{data, step, width};
}

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
