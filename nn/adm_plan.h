// What guided-diffusion, improved-diffusion and DiffAE have in common: options, key names, attention orders.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "nn/unet_embedding.h"
#include "nn/unet_plan.h"

namespace costate {

/// The options that UNetModel, EncoderUNetModel and the BeatGANs models spell alike.
struct AdmOptions {
  std::int64_t image_size = 0, in_channels = 3, out_channels = 3, model_channels = 0;
  std::vector<double> mult;  ///< of model_channels, a level each
  std::int64_t blocks = 2;
  std::vector<std::int64_t> attention;  ///< down-sampling factors, or resolutions (DiffAE)
  std::int64_t heads = 1, head_channels = -1, heads_up = -1;
  bool conv_resample = true, scale_shift = false, updown = false, new_order = false;
  bool few_groups = false;  ///< as many groups as channels where there are fewer than 32 (DiffAE)

  /// `updown` is the default of resblock_updown; `further` are options of the family's own. Any other is refused.
  AdmOptions(const Config& config, bool updown, const std::string& further);
  [[nodiscard]] std::int64_t groups(std::int64_t channels) const;
};

/// The plan but for time width and the second condition; `attention` is a level each.
[[nodiscard]] UNetPlan adm_plan(const AdmOptions& o, std::vector<bool> attention);

/// Sinusoids (cosines first), linear, SiLU, linear under `key`.0 and `key`.2.
[[nodiscard]] UNetEmbedding adm_embedding(std::int64_t width, std::int64_t out, const std::string& key);

/// {"schedule": ...} of `noise_schedule` and `diffusion_steps`, for networks that predict epsilon.
[[nodiscard]] std::string adm_defaults(const Config& config);

}  // namespace costate
