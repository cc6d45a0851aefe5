// The U-Net of diffusers' UNet2DModel: every flag of its configuration, in this library's layouts.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nn/unet2d_blocks.h"

namespace costate {

/// What labels add to the time embedding: rows of a table, or an MLP on numbers embedded like times.
struct ClassEmbedding {
  Tensor weight;  ///< (classes, time width), or undefined
  std::optional<TimeEmbedding> mlp;

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("", self.mlp);
  }
};

struct UNet2D {
  Conv2d conv_in;
  TimeProjection time_proj;
  TimeEmbedding time_embedding;
  ClassEmbedding class_embedding;
  std::vector<DownBlock> down_blocks;
  std::optional<MidBlock> mid_block;
  std::vector<UpBlock> up_blocks;
  GroupNorm conv_norm_out;
  Conv2d conv_out;
  UNet2DPlan plan;

  explicit UNet2D(const UNet2DPlan& p);

  static void fields(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("time_proj", self.time_proj);
    visit("time_embedding", self.time_embedding);
    visit("class_embedding", self.class_embedding);
    visit("down_blocks", self.down_blocks);
    visit("mid_block", self.mid_block);
    visit("up_blocks", self.up_blocks);
    visit("conv_norm_out", self.conv_norm_out);
    visit("conv_out", self.conv_out);
  }

  /// x (n, h, w, in), t a row (or one for all); `classes`, or in their place `z`: vectors (n, time width) to add to the
  /// time embedding. h and w must halve evenly as often as the network has levels to change.
  [[nodiscard]] Tensor operator()(const Inputs& in) const;
  /// (n, time width): what the labels add to the time embedding.
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const;
  [[nodiscard]] Signature signature() const;
  /// Attention keys of diffusers before 0.15.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> spellings() const;

 private:
  void check(const Tensor& x) const;
  /// The activated time embedding with the condition added: (n, time width).
  [[nodiscard]] Tensor embed(const Inputs& in, const std::vector<double>& t) const;
};

}  // namespace costate
