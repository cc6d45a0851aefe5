// What the networks of smalldiffusion have in common: they are told sigma, and by default predict epsilon of
// x = x_0 + sigma eps.
#pragma once

#include <string>

#include "core/config.h"
#include "nn/unet_embedding.h"

namespace costate {

/// sig_embed and, where the configuration has one, cond_embed: [sin, cos] of ln(sigma) / 2, linear, SiLU, linear, plus
/// the label's embedding.
[[nodiscard]] UNetEmbedding smalldiffusion_embedding(const Config& config, std::int64_t width);

/// cond_embed: a table with a last row for "no class", SiLU, linear.
[[nodiscard]] LabelEmbedding smalldiffusion_labels(std::int64_t classes, std::int64_t width);

/// Prediction (the modifiers PredX0, PredV and PredFlow) and schedule.
[[nodiscard]] std::string smalldiffusion_defaults(const Config& config);

}  // namespace costate
