// diffusers' scheduler_config.json in costate's terms.
#include "tools/model/scheduler.h"

#include <nlohmann/json.hpp>

namespace costate {

std::string from_diffusers_scheduler(const Config& c) {
  using nlohmann::json;
  json schedule = {{"type", "ddpm"},
                   {"beta_schedule", c.text("beta_schedule", "linear")},
                   {"beta_start", c.number("beta_start", 1e-4)},
                   {"beta_end", c.number("beta_end", 0.02)},
                   {"num_train_timesteps", c.integer("num_train_timesteps", 1000)}};
  if (c.has("trained_betas") && !c.is_null("trained_betas")) schedule["betas"] = c.numbers("trained_betas");
  if (c.flag("rescale_betas_zero_snr", false)) schedule["rescale_betas_zero_snr"] = true;
  // Spacings of other schedulers, which none of the grids below is.
  for (const char* key :
       {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas"}) {
    if (c.flag(key, false)) c.unsupported(key, "supported: false; give --grid instead");
  }
  if (c.flag("thresholding", false)) c.unsupported("thresholding", "supported: false");
  const std::string spacing = c.choice("timestep_spacing", "leading", {"leading", "trailing", "linspace"});
  const bool to_zero = c.flag("set_alpha_to_one", true);
  return json{{"schedule", schedule},
              {"prediction", c.choice("prediction_type", "epsilon", {"epsilon", "sample", "v_prediction"})},
              {"sampling",
               {{"grid", spacing}, {"final", to_zero ? "zero" : "first"}, {"offset", c.integer("steps_offset", 0)}}}}
      .dump();
}

}  // namespace costate
