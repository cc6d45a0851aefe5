// Embeddings and defaults of smalldiffusion's networks.
#include "nn/smalldiffusion.h"
#include "nn/sizes.h"

#include <nlohmann/json.hpp>

namespace costate {

LabelEmbedding smalldiffusion_labels(std::int64_t classes, std::int64_t width) {
  LabelEmbedding label;
  label.table = parameter({classes + 1, width});
  label.null_class = true;
  label.linear.emplace(width, width);
  label.table_key = "cond_embed.embeddings.weight";
  label.linear_key = "cond_embed.mlp.1";
  return label;
}

UNetEmbedding smalldiffusion_embedding(const Config& config, std::int64_t width) {
  UNetEmbedding e;
  e.projection = {.width = 2, .cos_first = false, .half_log = true, .weight = {}};
  e.linear_1.emplace(2, width);
  e.linear_2.emplace(width, width);
  e.key_1 = "sig_embed.mlp.0";
  e.key_2 = "sig_embed.mlp.2";
  if (const Config c = config.object("cond_embed"); !c.keys().empty()) {
    if (c.integer("hidden_size", width) != width)
      c.unsupported("hidden_size", fmt::format("it is added to the embedding of sigma, which has {}", width));
    e.label = smalldiffusion_labels(size_from(c, "num_classes", 10), width);
  }
  return e;
}

std::string smalldiffusion_defaults(const Config& config) {
  using nlohmann::json;
  const bool flow = config.flag("PredFlow", false);
  const char* prediction = flow                           ? "flow"
                           : config.flag("PredX0", false) ? "sample"
                           : config.flag("PredV", false)  ? "v_prediction"
                                                          : "epsilon";
  const json schedule = flow ? json{{"type", "flow"}} : json{{"type", "edm"}, {"sigma_min", 0.005}, {"sigma_max", 35}};
  return json{{"prediction", prediction}, {"schedule", schedule}}.dump();
}

}  // namespace costate
