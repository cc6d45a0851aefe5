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
  if (c.flag("rescale_betas_zero_snr", false))
    c.unsupported("rescale_betas_zero_snr",
                  "alpha would be 0 at the first level; use a schedule that keeps some signal");
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
