// What a configuration of diffusers' UNet2DModel or UNet2DConditionModel says, read once: plain values that the network is
// built from.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "core/config.h"
#include "nn/res_block.h"
#include "nn/spatial_attention.h"
#include "nn/unet2d_embedding.h"

namespace costate {

/// One down or up block.
struct LevelPlan {
  enum class Style {
    convolution,  ///< a strided convolution down; nearest and a convolution up
    residual,     ///< a residual block that resamples
    k,            ///< K blocks: mirrored filters, norms that the time scales and shifts
    pyramid,      ///< NCSN++ ("Skip" blocks): the same with FIR filters, and a pyramid of images beside it
  };

  Style style = Style::convolution;
  AttentionChoice attention;
  bool resamples = true;    ///< all but the last of each path
  std::int64_t layers = 2;  ///< residual blocks
  std::int64_t in = 0;      ///< channels that arrive: from the level above (down) or below (up)
  std::int64_t out = 0;
  std::int64_t skip =
      0;               ///< up: channels of the last skip connection; those before have `out`. K blocks: of the result
  bool joins = true;   ///< are there skip connections?
  double divisor = 1;  ///< of the sums in residual blocks
  bool raw_time = false;  ///< residual blocks read the time embedding without an activation

  [[nodiscard]] bool pyramid() const { return style == Style::pyramid; }
  /// Whatever the configuration says of groups?
  [[nodiscard]] bool counts_groups() const { return style == Style::pyramid || style == Style::k; }
};

/// Residual blocks with attention between them.
struct MidPlan {
  std::int64_t layers = 2;  ///< residual blocks; 0: there is no mid block
  AttentionChoice attention;
  double divisor = 1;
  bool raw_time = false;
};

struct UNet2DPlan {
  const char* family = "unet2d";
  std::int64_t in_channels = 3, out_channels = 3;
  std::int64_t kernel_in = 3, kernel_out = 3;
  std::int64_t height = 0, width = 0;  ///< the usual size, 0 where it is not said
  bool any_size = false;               ///< the way up follows the sizes of the way down; else all levels halve evenly
  bool centre = false;                 ///< the network reads 2 x - 1
  bool divide_by_time = false;         ///< its output is divided by the time, which is a sigma
  std::vector<std::int64_t> channels;  ///< a level each
  std::vector<LevelPlan> down, up;
  MidPlan mid;
  std::int64_t downsample_padding = 1;
  EmbeddingPlan embedding;

  Activation activation = Activation::silu;
  Activation activation_out = Activation::silu;  ///< before the last convolution
  bool norm_out = true;                          ///< are there a norm and an activation before it?
  bool scale_shift = false;
  double eps = 1e-5;
  std::optional<std::int64_t> groups;  ///< of all norms but those of pyramid blocks, which count their own

  /// Groups of the norms outside pyramid blocks, over so many channels.
  [[nodiscard]] std::int64_t groups_of(std::int64_t of_channels) const;
  /// A residual block of a level (`pyramid` as there), or of the middle.
  [[nodiscard]] ResBlockPlan res_block(std::int64_t in, std::int64_t out, double divisor, bool pyramid = false) const;
  /// Does any block attend to a context?
  [[nodiscard]] bool reads_context() const;
};

/// What a block name stands for, with {} where it says "Down" or "Up"; no style: another key decides.
struct BlockName {
  const char* name;
  AttentionChoice::Kind attention = AttentionChoice::Kind::none;
  std::optional<LevelPlan::Style> style = LevelPlan::Style::convolution;
};

/// The blocks of a path ("down", "up"; or `otherwise`) without channels; `style` where the name leaves it open. diffusers' old
/// prefix UNetRes is dropped; unknown names throw with those known.
std::vector<LevelPlan> read_blocks(const Config& config, const std::string& path,
                                   const std::vector<std::string>& otherwise, const std::vector<BlockName>& known,
                                   LevelPlan::Style style);
/// What both models read alike: channels in and out, size, padding, norms; then the channels of every level, whose lists of
/// blocks are there already.
void read_common(const Config& config, UNet2DPlan& plan, std::int64_t usual_channels);
void connect_levels(const Config& config, UNet2DPlan& plan);
/// What labels are, of the kinds that a model knows by these names.
using LabelNames = std::vector<std::pair<std::string, EmbeddingPlan::Labels>>;
void read_labels(const Config& config, EmbeddingPlan& e, const LabelNames& kinds);
/// A size that something else in the configuration, `why`, asks for.
std::int64_t width_for(const Config& config, const std::string& key, const std::string& why);
/// Which K blocks have skip connections; the width of the embedding is known by then.
void connect_k_blocks(const Config& config, UNet2DPlan& plan);

/// Values that are not supported throw, naming key and value. Defaults are those of diffusers 0.42.
UNet2DPlan unet2d_plan(const Config& config);
UNet2DPlan unet2d_condition_plan(const Config& config);
/// Its time, labels, text and pictures.
void read_condition(const Config& config, UNet2DPlan& plan);

}  // namespace costate
