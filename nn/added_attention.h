// Attention of pixels to a context and to each other in one softmax (GLIDE, unCLIP, DeepFloyd IF): the context has key and
// value matrices of its own, and comes first.
#pragma once

#include <cmath>
#include <optional>

#include "autodiff/ops/concat.h"
#include "nn/group_norm.h"
#include "nn/layer_norm.h"
#include "nn/token_attention.h"
#include "nn/transformer_2d.h"

namespace costate {

struct AddedAttention {
  GroupNorm group_norm;
  std::optional<LayerNorm> layer_cross;  ///< norm of the context's tokens, one of the two or none
  std::optional<GroupNorm> group_cross;
  Linear to_q, add_k_proj, add_v_proj, to_out;
  std::optional<Linear> to_k, to_v;  ///< absent where pixels attend to the context only
  std::int64_t heads = 1;

  AddedAttention() = default;
  AddedAttention(std::int64_t channels, std::int64_t groups, std::int64_t head_width, std::int64_t context,
                 bool only_context)
      : group_norm(channels, groups, 1e-5), heads(channels / head_width) {
    require(heads >= 1, "attention: a head of {} channels does not fit into {} channels", head_width, channels);
    const std::int64_t inner = heads * head_width;
    to_q = Linear(channels, inner);
    if (!only_context) to_k = to_v = Linear(channels, inner);
    add_k_proj = add_v_proj = Linear(context, inner);
    to_out = Linear(inner, channels);
  }

  static void fields(auto& self, auto&& visit) {
    visit("group_norm", self.group_norm);
    visit("norm_cross", self.layer_cross);
    visit("norm_cross", self.group_cross);
    visit("to_q", self.to_q);
    visit("to_k", self.to_k);
    visit("to_v", self.to_v);
    visit("add_k_proj", self.add_k_proj);
    visit("add_v_proj", self.add_v_proj);
    visit("to_out.0", self.to_out);
  }

  /// (n, h, w, c) -> the same. The group norm of the context runs over groups of channels and all tokens.
  [[nodiscard]] Tensor operator()(const Tensor& x, const Context& context) const {
    Tensor text = context.tokens;
    const Shape as_image{text.dim(0), text.dim(1), 1, text.dim(2)};
    if (layer_cross) text = (*layer_cross)(text);
    if (group_cross) text = reshape((*group_cross)(reshape(text, as_image)), text.shape());
    const Tensor pixels = reshape(group_norm(x), {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)});
    Tensor k = add_k_proj(text), v = add_v_proj(text);
    // As unCLIP has it in diffusers: here the mask of the image's own tokens is one of the context.
    Tensor bias = context.pixel_bias.defined() ? context.pixel_bias : context.token_bias;
    if (to_k) {
      k = concat({k, (*to_k)(pixels)}, 1);
      v = concat({v, (*to_v)(pixels)}, 1);
      if (bias.defined()) bias = concat({bias, Tensor::zeros({x.dim(0), pixels.dim(1)}, bias.kind())}, 1);
    }
    const double head_width = static_cast<double>(to_q.weight.dim(1)) / static_cast<double>(heads);
    const Tensor mixed = biased_attention(to_q(pixels), k, v, heads, 1 / std::sqrt(head_width), bias);
    return reshape(to_out(mixed, reshape(x, pixels.shape())), x.shape());
  }
};

}  // namespace costate
