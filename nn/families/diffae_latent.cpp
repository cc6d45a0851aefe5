// Family diffae-latent: the diffusion network over semantic codes of DiffAE (Preechakul et al. 2022).
#include "nn/family.h"
#include "nn/mlp_skip_net.h"

namespace costate {

Family diffae_latent_family() {
  return {"diffae-latent", "MLPSkipNet of DiffAE: diffusion of semantic codes",
          by_keys({"layers.0.linear_emb.weight", "time_embed.0.weight"}),
          network_by([](const Config& config) { return MlpSkipNet(config); })};
}

}  // namespace costate
