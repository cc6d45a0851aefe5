// The U-Net of diffusers' UNet2DModel and UNet2DConditionModel: every flag of their configurations, in this library's layouts.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nn/unet2d_blocks.h"

namespace costate {

struct UNet2D {
  Conv2d conv_in;
  UNet2DEmbedding embedding;
  std::vector<DownBlock> down_blocks;
  std::optional<MidBlock> mid_block;
  std::vector<UpBlock> up_blocks;
  std::optional<GroupNorm> conv_norm_out;
  Conv2d conv_out;
  UNet2DPlan plan;

  explicit UNet2D(const UNet2DPlan& p);

  static void fields(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("", self.embedding);
    visit("down_blocks", self.down_blocks);
    visit("mid_block", self.mid_block);
    visit("up_blocks", self.up_blocks);
    visit("conv_norm_out", self.conv_norm_out);
    visit("conv_out", self.conv_out);
  }

  /// x (n, h, w, in), t a row (or one for all), and what UNet2DEmbedding reads. Masks (n, tokens) are 1 where a token counts and
  /// 0 where not: `encoder_attention_mask` of z, `attention_mask` of the pixels (of z in Simple blocks, as unCLIP has it).
  [[nodiscard]] Tensor operator()(const Inputs& in) const;
  /// (n, time width): what labels add to the time embedding.
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const { return embedding.embed_classes(classes); }
  [[nodiscard]] Signature signature() const;
  /// Attention keys of diffusers before 0.15.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> spellings() const;

 private:
  void check(const Tensor& x) const;
  /// Blocks that read the activated time, in the order of their parameters.
  [[nodiscard]] std::vector<const ResBlock*> told_blocks() const;
  [[nodiscard]] BlockInputs block_inputs(const Inputs& in, const std::vector<double>& t) const;
};

}  // namespace costate
