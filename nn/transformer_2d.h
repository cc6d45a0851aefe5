// The spatial transformer of latent diffusion (Rombach et al. 2022, arXiv:2112.10752): pixels as tokens that attend to each
// other and to a context.
#pragma once

#include <algorithm>
#include <vector>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/slice.h"
#include "nn/feed_forward.h"
#include "nn/group_norm.h"
#include "nn/layer_norm.h"
#include "nn/token_attention.h"

namespace costate {

/// Tokens (n, s, c) that blocks attend to (undefined: none), and what masks add to the scores: (n, s) for them, (n, pixels) for
/// the image's own.
struct Context {
  Tensor tokens, token_bias, pixel_bias;
};

struct TransformerLayer {
  LayerNorm norm1, norm2, norm3;
  TokenAttention attn1, attn2;
  FeedForward ff;
  bool only_context = false;  ///< the first attention, too, is to the context

  TransformerLayer() = default;
  TransformerLayer(std::int64_t heads, std::int64_t head_width, std::int64_t context, bool only)
      : norm1(heads * head_width),
        norm2(heads * head_width),
        norm3(heads * head_width),
        attn1(heads * head_width, only ? context : heads * head_width, heads, head_width, false),
        attn2(heads * head_width, context, heads, head_width, false),
        ff(heads * head_width, FeedForward::Kind::geglu),
        only_context(only) {}

  static void fields(auto& self, auto&& visit) {
    visit("norm1", self.norm1);
    visit("attn1", self.attn1);
    visit("norm2", self.norm2);
    visit("attn2", self.attn2);
    visit("norm3", self.norm3);
    visit("ff", self.ff);
  }

  [[nodiscard]] Tensor operator()(Tensor x, const Context& context) const {
    const Tensor h = norm1(x);
    x = attn1(h, only_context ? context.tokens : h, context.pixel_bias, x);
    x = context.tokens.defined() ? attn2(norm2(x), context.tokens, context.token_bias, x)
                                 : x + reshape(attn2.to_out.bias, {1, 1, x.dim(2)});  // attention to nothing is 0
    return ff(norm3(x), x);
  }
};

struct Transformer2D {
  GroupNorm norm;
  Linear proj_in, proj_out;  ///< 1x1 convolutions in some files
  std::vector<TransformerLayer> transformer_blocks;

  Transformer2D() = default;
  /// What does not divide into heads is left out of the tokens, as in diffusers.
  Transformer2D(std::int64_t channels, std::int64_t groups, std::int64_t heads, std::int64_t layers,
                std::int64_t context, bool only_context)
      : norm(channels, groups, 1e-6) {
    const std::int64_t head_width = channels / heads;
    require(head_width >= 1, "transformer: {} heads for {} channels", heads, channels);
    proj_in = Linear(channels, heads * head_width, Layout::either);
    proj_out = Linear(heads * head_width, channels, Layout::either);
    transformer_blocks.assign(static_cast<std::size_t>(layers),
                              TransformerLayer(heads, head_width, context, only_context));
  }

  static void fields(auto& self, auto&& visit) {
    visit("norm", self.norm);
    visit("proj_in", self.proj_in);
    visit("transformer_blocks", self.transformer_blocks);
    visit("proj_out", self.proj_out);
  }

  /// (n, h, w, c) -> the same; tokens run row by row.
  [[nodiscard]] Tensor operator()(const Tensor& x, const Context& context) const {
    const Shape tokens{x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};
    Tensor h = proj_in(reshape(norm(x), tokens));
    for (const auto& layer : transformer_blocks) h = layer(h, context);
    return reshape(proj_out(h, reshape(x, tokens)), x.shape());
  }
};

/// Two of them, the second for the first tokens of the context and the first for the rest; their mean (versatile diffusion, Xu et
/// al. 2023, arXiv:2211.08332, with its numbers of tokens: a text's and a picture's). Where there are fewer, as in diffusers, the
/// first attends to none.
struct DualTransformer {
  static constexpr std::int64_t text = 77, picture = 257;

  std::vector<Transformer2D> transformers;

  static void fields(auto& self, auto&& visit) { visit("transformers", self.transformers); }

  [[nodiscard]] Tensor operator()(const Tensor& x, const Context& context) const {
    require(!context.token_bias.defined() && !context.pixel_bias.defined(), "dual attention: takes no masks");
    const std::int64_t all = context.tokens.dim(1);
    require(all <= text + picture, "dual attention: reads at most {} + {} tokens, got {}", text, picture, all);
    const auto run = [&](std::size_t which, std::int64_t first, std::int64_t most) {
      const std::int64_t count = std::min(most, all - first);
      return transformers[which](x, {count > 0 ? slice(context.tokens, 1, first, count) : Tensor(), {}, {}});
    };
    return lincomb(0.5, run(1, 0, text), 0.5, run(0, text, picture));
  }
};

}  // namespace costate
