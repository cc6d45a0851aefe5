// Multi-head attention from tokens to tokens - the same ones, or those of a context - with its four matrices.
#pragma once

#include "nn/linear.h"

namespace costate {

/// softmax(q k^T scale + bias) v for each head; `bias` (n, s), one number for each key of a sample, may be undefined.
[[nodiscard]] Tensor biased_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads,
                                      double scale, const Tensor& bias);

struct TokenAttention {
  Linear to_q, to_k, to_v, to_out;
  std::int64_t heads = 1;

  TokenAttention() = default;
  /// `context`: width of the tokens attended to; `biased`: whether q, k and v have biases.
  TokenAttention(std::int64_t width, std::int64_t context, std::int64_t head_count, std::int64_t head_width,
                 bool biased)
      : heads(head_count) {
    const std::int64_t inner = head_count * head_width;
    const auto layer = [&](std::int64_t in) { return biased ? Linear(in, inner) : Linear::without_bias(in, inner); };
    to_q = layer(width);
    to_k = to_v = layer(context);
    to_out = Linear(inner, width);
  }

  static void fields(auto& self, auto&& visit) {
    visit("to_q", self.to_q);
    visit("to_k", self.to_k);
    visit("to_v", self.to_v);
    visit("to_out.0", self.to_out);
  }

  static void neighbours(auto& self, auto&& visit) {
    for (Linear* l : {&self.to_q, &self.to_k, &self.to_v}) visit("qkv", l->weight);
    for (Linear* l : {&self.to_q, &self.to_k, &self.to_v}) visit("qkv", l->bias);
  }

  /// x (n, t, width), the tokens attended to (n, s, context) -> (n, t, width), plus an addend where there is one
  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& context, const Tensor& bias = {},
                                  const Tensor& addend = {}) const;
};

}  // namespace costate
