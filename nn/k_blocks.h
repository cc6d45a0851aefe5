// The K blocks of diffusers (the x2 latent upscaler, after K. Crowson's k-diffusion): residual blocks and attention whose norms have
// no weights of their own - the time says their gain and offset - between filters that mirror the image at its edges.
#pragma once

#include <optional>
#include <vector>

#include "nn/conv2d.h"
#include "nn/layer_norm.h"
#include "nn/resampling.h"
#include "nn/transformer_2d.h"

namespace costate {

/// group_norm(x) (1 + scale) + shift, both from the time embedding as it is.
struct AdaGroupNorm {
  Linear linear;  ///< to (scale, shift)
  std::int64_t groups = 1;
  double eps = 1e-5;

  AdaGroupNorm() = default;
  AdaGroupNorm(std::int64_t channels, std::int64_t time, std::int64_t number, double epsilon = 1e-5);

  static void fields(auto& self, auto&& visit) { visit("linear", self.linear); }

  /// x (n, h, w, c), time (n, width) -> x's shape
  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& time) const;
};

struct AdaResBlock {
  AdaGroupNorm norm1, norm2;
  Conv2d conv1, conv2;
  std::optional<Linear> conv_shortcut;
  Activation activation = Activation::silu;

  static void fields(auto& self, auto&& visit) {
    visit("norm1", self.norm1);
    visit("conv1", self.conv1);
    visit("norm2", self.norm2);
    visit("conv2", self.conv2);
    visit("conv_shortcut", self.conv_shortcut);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& time) const;
};

/// Attention of pixels to each other, in some blocks, then to the context (where there is none: to each other).
struct AdaAttention {
  std::optional<AdaGroupNorm> norm1;
  std::optional<TokenAttention> attn1;
  AdaGroupNorm norm2;
  LayerNorm norm_cross;  ///< of the context
  TokenAttention attn2;

  static void fields(auto& self, auto&& visit) {
    visit("norm1", self.norm1);
    visit("attn1", self.attn1);
    visit("norm2", self.norm2);
    visit("attn2", self.attn2);
    visit("attn2.norm_cross", self.norm_cross);
  }

  [[nodiscard]] Tensor operator()(Tensor x, const Tensor& time, const Context& context) const;
};

/// What a level of either path is made from.
struct KPlan {
  std::int64_t in = 0, middle = 0, out = 0;  ///< channels: of the first block, between, and of the last
  std::int64_t layers = 1;
  std::int64_t time = 0;  ///< width of the time embedding
  double eps = 1e-5;
  Activation activation = Activation::silu;
  bool attends = false;
  bool attends_to_pixels = false;  ///< each attention does, before it turns to the context
  std::int64_t head_width = 1;
  std::int64_t context = 0;  ///< width of the tokens; 0: pixels attend to each other in their place
  Resampling change = Resampling::none;
};

/// The layers of a level. Its change of size comes after what a skip connection takes.
struct KLevel {
  std::vector<AdaResBlock> resnets;
  std::vector<AdaAttention> attentions;  ///< one after each residual block, or none
  Resampling change = Resampling::none;

  KLevel() = default;
  explicit KLevel(const KPlan& plan);

  static void fields(auto& self, auto&& visit) {
    visit("resnets", self.resnets);
    visit("attentions", self.attentions);
  }

  /// x (n, h, w, in) -> (n, h, w, out), before the change of size.
  [[nodiscard]] Tensor operator()(Tensor x, const Tensor& time, const Context& context) const;
};

}  // namespace costate
