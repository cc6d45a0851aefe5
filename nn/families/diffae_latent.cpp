// Family diffae-latent: the diffusion network over semantic codes of DiffAE (Preechakul et al. 2022).
#include "nn/family.h"
#include "nn/mlp_skip_net.h"

namespace costate {

Family diffae_latent_family() {
  return {"diffae-latent", "MLPSkipNet of DiffAE: diffusion of semantic codes",
          [](const Config&, const KeyShapes& keys) -> std::string {
            return keys.count("layers.0.linear_emb.weight") != 0 && keys.count("time_embed.0.weight") != 0
                       ? "keys layers.0.linear_emb and time_embed.0"
                       : "";
          },
          [](const Config& config, const KeyShapes&) -> std::shared_ptr<const Network> {
            return std::make_shared<const NetworkOf<MlpSkipNet>>(MlpSkipNet(config));
          }};
}

}  // namespace costate
