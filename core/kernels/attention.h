// Scaled dot-product attention of many heads, and its vector-Jacobian product, without the matrix of all scores.
#pragma once

#include <utility>

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

/// q (n, t, heads d), k (n, s, heads d), v (n, s, heads e), y (n, t, heads e); for each sample and head
///   y = softmax(scale q k^T) v
struct AttentionSpec {
  std::int64_t heads = 1;
  double scale = 1;
};

/// Gradients of q, k and v, or of q alone, in one tensor of so many lines, each with one of every part: they lie behind one another in one
/// line, or as parts of one product do, where a line is a token, or one head of it.
struct AttentionGrads {
  Tensor all;
  std::int64_t lines = 1;

  /// Uninitialised.
  static AttentionGrads room_for(const Tensors& parts, std::int64_t lines = 1) {
    std::int64_t size = 0;
    for (const Tensor& t : parts) size += t.size();
    return {Tensor::empty({size}, parts[0].kind()), lines};
  }
  /// The gradient of each, where it lies.
  [[nodiscard]] Tensors parts(const Tensors& of) const {
    Tensors each;
    std::int64_t first = 0;
    for (const Tensor& t : of) {
      const std::int64_t run = t.size() / lines;
      each.push_back(all.strip(t.shape(), first, run, all.size() / lines));
      first += run;
    }
    return each;
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

/// Where gradients go, from `at` on: the first element of `all`, or of a tensor of its size. Those of k and v to null, if not wanted.
template <class T>
struct GradTokens {
  Tokens<T> q, k = {}, v = {};

  GradTokens(T* at, const AttentionGrads& grads, std::int64_t heads, const Tensor& of_q, const Tensor& of_k,
             const Tensor& of_v) {
    const std::int64_t line = grads.all.size() / grads.lines;
    const auto next = [&](const Tensor& of) -> Tokens<T> {
      const std::int64_t run = of.size() / grads.lines, token = of.dim(2), head = token / heads;
      T* const first = std::exchange(at, at + run);
      if (run == head) return {first, heads * line, line};
      return {first, run == token ? line : token, head};
    };
    q = next(of_q);
    if (grads.all.size() > of_q.size()) k = next(of_k), v = next(of_v);
  }
  [[nodiscard]] bool of_keys() const { return k.data != nullptr; }
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
