// What a configuration of diffusers' UNet2DModel says, read once: plain values that the network is built from.
#pragma once

#include <optional>
#include <vector>

#include "core/config.h"
#include "nn/res_block.h"
#include "nn/time_embedding.h"

namespace costate {

/// One down or up block.
struct LevelPlan {
  enum class Style {
    convolution,  ///< a strided convolution down; nearest and a convolution up
    residual,     ///< a residual block that resamples
    pyramid,      ///< NCSN++ ("Skip" blocks): the same with FIR filters, and a pyramid of images beside it
  };

  Style style = Style::convolution;
  bool attention = false;
  bool resamples = true;  ///< all but the last of each path
  std::int64_t in = 0;    ///< channels that arrive: from the level above (down) or below (up)
  std::int64_t out = 0;
  std::int64_t skip = 0;  ///< up: channels of the last skip connection; those before have `out`

  [[nodiscard]] bool pyramid() const { return style == Style::pyramid; }
};

struct UNet2DPlan {
  enum class Labels {
    none,
    table,     ///< a row each
    timestep,  ///< embedded like a time, by an MLP of their own
    identity,  ///< vectors are given, to be added to the time embedding
  };

  std::int64_t in_channels = 3, out_channels = 3;
  std::int64_t height = 0, width = 0;  ///< the usual size, 0 where it is not said
  bool centre = false;                 ///< the network reads 2 x - 1
  std::vector<std::int64_t> channels;  ///< a level each
  std::int64_t layers = 2;             ///< residual blocks a down block; one more in an up block
  std::vector<LevelPlan> down, up;
  bool mid = true, mid_attention = true;
  double mid_divisor = 1;
  std::int64_t downsample_padding = 1;

  TimeProjection::Kind time = TimeProjection::Kind::positional;
  bool cos_first = true;
  double freq_shift = 0;
  std::int64_t time_steps = 0;  ///< rows of a learned table
  std::int64_t time_width = 0;  ///< of the embedding after the MLP
  Labels labels = Labels::none;
  std::int64_t classes = 0;  ///< rows of the label table

  Activation activation = Activation::silu;
  bool scale_shift = false;
  double eps = 1e-5;
  std::optional<std::int64_t> groups;       ///< of all norms but those of pyramid blocks, which count their own
  std::optional<std::int64_t> attn_groups;  ///< of the mid attention's norm
  std::optional<std::int64_t> head_width;   ///< nothing: one head of all channels

  /// Groups of the norms outside pyramid blocks, over so many channels.
  [[nodiscard]] std::int64_t groups_of(std::int64_t of_channels) const;
  /// A residual block of a level (`pyramid` as there), or of the middle.
  [[nodiscard]] ResBlockPlan res_block(std::int64_t in, std::int64_t out, bool pyramid = false) const;
};

/// Values that are not supported throw, naming key and value. Defaults are those of diffusers 0.42.
UNet2DPlan unet2d_plan(const Config& config);

}  // namespace costate
