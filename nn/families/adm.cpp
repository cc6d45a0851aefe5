// Family adm: UNetModel of guided-diffusion and improved-diffusion (Dhariwal and Nichol 2021; Nichol and Dhariwal 2021).
//
// Twice the image's channels at the output: epsilon, then the interpolation of the learned variance (see Signature).
#include "nn/adm_plan.h"
#include "nn/family.h"
#include "nn/sizes.h"
#include "nn/unet_model.h"

namespace costate {
namespace {

UNetModel make(const Config& config) {
  const AdmOptions o(config, false, "num_classes");
  const std::int64_t time = 4 * o.model_channels;
  UNetEmbedding e = adm_embedding(o.model_channels, time, "time_embed");
  if (config.maybe_integer("num_classes")) {
    e.label.emplace();
    e.label->table = parameter({size_from(config, "num_classes", 0), time});
    e.label->table_key = "label_emb.weight";
  }
  return make_unet_model(std::move(e), adm_plan(o, UNetPlan::at_factors(o.attention, o.mult.size())), o.image_size,
                         adm_defaults(config));
}

}  // namespace

Family adm_family() {
  return {"adm",
          "UNetModel of guided-diffusion and improved-diffusion",
          by_keys({"time_embed.0.weight", "input_blocks.0.0.weight", "output_blocks.0.0.in_layers.0.weight"}),
          network_by(make),
          {"improved-ddpm", "guided-diffusion", "improved-diffusion"}};
}

}  // namespace costate
