// The U-Net that research code shares, as plain values: what each level holds, and what checkpoints call each part.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/attention_block.h"
#include "nn/res_block.h"

namespace costate {

/// A part of the network whose key a family must know. `level` counts from the full-size image, `index` within a level.
enum class UNetPart {
  conv_in,
  down_block,      ///< residual block `index` of a level on the way down
  down_attention,  ///< after it
  down,            ///< from `level` to level + 1
  image_in,        ///< the image pyramid's layer after it
  image_filter,    ///< where filters are stored: the pyramid's, `index` 0 down to `level` + 1, 1 up to `level`
  mid_block,       ///< `index` 0 and 1
  mid_attention,
  up_block,  ///< `index` counts in the order of execution, like `up_attention`
  up_attention,
  image_norm,  ///< the output pyramid's layers of a level
  image_conv,
  up,  ///< from `level` to level - 1
  norm_out,
  conv_out,
};

struct UNetPlan {
  /// How a level's size changes.
  enum class Change {
    block,       ///< a residual block that resamples
    conv,        ///< a strided convolution down; doubling, then a convolution up
    resampling,  ///< without weights
  };
  /// What becomes of the shrunk image beside the way down.
  enum class ImageIn {
    none,
    sum,       ///< a 1x1 convolution of it is added to the features
    cat,       ///< or goes before them
    residual,  ///< it is convolved as it shrinks, the features are added to it, and the sum takes the place of both
  };

  /// What is made of the features on the way up, a level each.
  enum class ImageOut {
    none,
    sum,       ///< images, whose sum is the result
    residual,  ///< those of the first level grow beside the others, which are added to them and replaced by the sum
  };

  std::int64_t in_channels = 3, out_channels = 3;  ///< of the image
  std::int64_t first = 0;                          ///< channels after conv_in
  std::vector<std::int64_t> channels;              ///< a level each
  std::vector<std::int64_t> up_channels;           ///< on the way up, where they differ
  std::int64_t blocks = 2, up_blocks = 3;          ///< residual blocks a level, down and up
  std::vector<bool> attention;                     ///< a level each
  bool attention_each_up = true;                   ///< after every block of a level on the way up, or the last only
  bool mid_attention = true;
  bool decoder = true;  ///< false: ends after the middle, in features

  Change change = Change::conv;
  /// Of blocks and of plain resampling; fir_blur goes before a strided convolution, which else is padded:
  Resampling down = Resampling::mean_down, up = Resampling::nearest_up;
  bool padded_down = true;  ///< a row of zeros on each side, or at the far ends only
  Filter filter = ncsnpp_filter();
  bool stores_filter = false;
  ImageIn image_in = ImageIn::none;
  ImageOut image_out = ImageOut::none;
  Resampling image_down = Resampling::mean_down, image_up = Resampling::nearest_up;
  double image_divisor = 1;

  Activation activation = Activation::silu;  ///< before the last convolution(s)
  std::function<std::int64_t(std::int64_t)> groups;
  double eps = 1e-5;  ///< of the last norm(s)

  /// The residual block for so many channels; resampling and filter are filled in from above.
  std::function<ResBlockPlan(std::int64_t in, std::int64_t out)> block;
  std::function<AttentionPlan(std::int64_t channels, bool up)> attend;
  /// Called once for every part that is there, in the order of execution.
  std::function<std::string(UNetPart part, std::int64_t level, std::int64_t index)> key;

  /// Where attention names resolutions: those of a `size` halved from level to level.
  [[nodiscard]] static std::vector<bool> at_resolutions(const std::vector<std::int64_t>& resolutions, std::int64_t size,
                                                        std::size_t levels);
  /// Where it names down-sampling factors: 1, 2, 4 ...
  [[nodiscard]] static std::vector<bool> at_factors(const std::vector<std::int64_t>& factors, std::size_t levels);
};

}  // namespace costate
