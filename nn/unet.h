// The U-Net that research code shares: a list of cells, run in order. Families differ in a UNetPlan only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nn/unet_plan.h"

namespace costate {

/// What runs through the cells.
struct UNetFlow {
  Tensor h;
  BlockTime time;
  Tensor code;                 ///< the second condition, activated
  Tensor image;                ///< of the pyramids: the shrunk input on the way down, the sum of outputs on the way up
  std::vector<Tensors> skips;  ///< a level each
};

/// One step: take a skip connection, residual block, attention, change of size, image pyramid, leave a skip connection;
/// as far as they are there.
struct UNetCell {
  std::int64_t takes = -1, gives = -1;  ///< levels of skip connections, -1 for none
  std::optional<ResBlock> block;
  std::optional<AttentionBlock> attention;
  Resampling resampling = Resampling::none;  ///< of the features, outside residual blocks
  std::optional<Conv2d> conv;                ///< after it
  Resampling image_resampling = Resampling::none;
  Filter filter = ncsnpp_filter();
  Tensor image_filter;  ///< (1, 1, k, k) where checkpoints store it
  UNetPlan::ImageIn image_in = UNetPlan::ImageIn::none;
  double image_divisor = 1;
  std::optional<GroupNorm> image_norm;  ///< on the way up
  std::optional<Conv2d> image_conv;
  Activation activation = Activation::silu;
  std::string block_key, attention_key, conv_key, image_key, image_norm_key, filter_key;

  static void fields(auto& self, auto&& visit) {
    visit(self.block_key.c_str(), self.block);
    visit(self.attention_key.c_str(), self.attention);
    visit(self.conv_key.c_str(), self.conv);
    visit(self.filter_key.c_str(), self.image_filter, Layout::plain, true);
    visit(self.image_norm_key.c_str(), self.image_norm);
    visit(self.image_key.c_str(), self.image_conv);
  }

  void operator()(UNetFlow& flow) const;

 private:
  void pass_image(UNetFlow& flow) const;
};

struct UNet {
  std::vector<UNetCell> cells;
  std::optional<GroupNorm> norm_out;  ///< absent where the result is a pyramid, or features
  std::optional<Conv2d> conv_out;
  std::string norm_key, conv_key;
  UNetPlan plan;

  UNet() = default;
  explicit UNet(UNetPlan p);

  static void fields(auto& self, auto&& visit) {
    for (auto& cell : self.cells) visit("", cell);
    visit(self.norm_key.c_str(), self.norm_out);
    visit(self.conv_key.c_str(), self.conv_out);
  }

  /// x (n, h, w, in) with h and w divisible by size_step(); the activated embeddings (n, d), undefined where blocks take
  /// none. -> (n, h, w, out), or the features of the middle. `each`, if given, receives the features after every cell
  /// that leaves a skip connection, and the result.
  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& time, const Tensor& code = {},
                                  Tensors* each = nullptr) const;
  [[nodiscard]] std::int64_t size_step() const { return std::int64_t{1} << (plan.channels.size() - 1); }
  /// Channels of the features that leave a skip connection, in order, and of the middle.
  [[nodiscard]] std::vector<std::int64_t> feature_channels() const;
  [[nodiscard]] std::string summary() const;
};

}  // namespace costate
