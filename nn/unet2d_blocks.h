// The down, mid and up blocks of UNet2D: residual blocks, attention and a change of size.
#pragma once

#include <optional>
#include <vector>

#include "nn/k_blocks.h"
#include "nn/unet2d_plan.h"

namespace costate {

/// What all blocks read beside the features.
struct BlockInputs {
  BlockTime time, raw_time;  ///< activated and not
  Context context;
};

/// In pyramid blocks an image runs beside the features: the network's input, halved from block to block on the way
/// down; what will be added to its output, doubled from block to block on the way up. Other blocks leave it alone.
struct DownBlock {
  std::vector<ResBlock> resnets;
  std::vector<SpatialAttention> attentions;  ///< one after each residual block, or none
  std::optional<Conv2d> conv;                ///< halves the features ...
  std::optional<ResBlock> resnet;            ///< ... or this does
  std::optional<Conv2d> skip_conv;           ///< pyramid: from the halved image
  std::optional<KLevel> k;                   ///< a K block, which has nothing of the above
  bool pyramid = false, raw_time = false, joins = true;

  DownBlock() = default;
  DownBlock(const UNet2DPlan& plan, const LevelPlan& level);

  static void fields(auto& self, auto&& visit) {
    visit("resnets", self.resnets);
    visit("attentions", self.attentions);
    visit("downsamplers.0.conv", self.conv);
    visit(self.pyramid ? "resnet_down" : "downsamplers.0", self.resnet);
    visit("skip_conv", self.skip_conv);
    visit("", self.k);
  }

  /// Everything an up block will want is appended to `skips`.
  [[nodiscard]] Tensor operator()(Tensor h, const BlockInputs& in, Tensors& skips, Tensor& image) const;
};

struct MidBlock {
  std::vector<ResBlock> resnets;
  std::vector<SpatialAttention> attentions;  ///< after each residual block but the last, or none
  bool raw_time = false;

  MidBlock() = default;
  explicit MidBlock(const UNet2DPlan& plan);

  static void fields(auto& self, auto&& visit) {
    visit("resnets", self.resnets);
    visit("attentions", self.attentions);
  }

  [[nodiscard]] Tensor operator()(Tensor h, const BlockInputs& in) const;
};

struct UpBlock {
  std::vector<ResBlock> resnets;
  std::vector<SpatialAttention>
      attentions;                  ///< after the last residual blocks, as many as there are: all, one (pyramid) or none
  std::optional<Conv2d> conv;      ///< after doubling
  std::optional<ResBlock> resnet;  ///< or this doubles
  std::optional<GroupNorm> skip_norm;  ///< pyramid: to the image
  std::optional<Conv2d> skip_conv;
  std::optional<KLevel> k;  ///< a K block, which has nothing of the above
  bool pyramid = false, raw_time = false, joins = true;

  UpBlock() = default;
  UpBlock(const UNet2DPlan& plan, const LevelPlan& level);

  static void fields(auto& self, auto&& visit) {
    visit("resnets", self.resnets);
    visit("attentions", self.attentions);
    visit("upsamplers.0.conv", self.conv);
    visit(self.pyramid ? "resnet_up" : "upsamplers.0", self.resnet);
    visit("skip_norm", self.skip_norm);
    visit("skip_conv", self.skip_conv);
    visit("", self.k);
  }

  /// Takes one tensor off the end of `skips` for each residual block (K blocks: one); what a convolution follows is enlarged to the size of
  /// the next one, which is nearly twice its own.
  [[nodiscard]] Tensor operator()(Tensor h, const BlockInputs& in, Tensors& skips, Tensor& image) const;
};

}  // namespace costate
