// DDIMScheduler.
#include "tools/model/index_scheduler.h"

namespace costate {

/// diffusers clips x_0 and leaves eps as it was, unless use_clipped_model_output says otherwise: the two then contradict
/// each other. Here eps follows.
SchedulerClass ddim_scheduler() {
  using namespace diffusers;
  return {.name = "DDIM",
          .keys = beta_keys + spacing_keys + clip_keys + threshold_keys +
                  Keys{"set_alpha_to_one", "prediction_type", "rescale_betas_zero_snr"},
          .arguments = {"eta", "use_clipped_model_output"},
          .read = [](const Config& c, bool compat) {
            Scheduler s;
            s.schedule = Config(betas(c, "ddpm"), c.where());
            s.prediction = prediction(c, {"epsilon", "sample", "v_prediction"});
            s.correct = correction(c, true);
            s.eps_follows = !s.correct || !compat || c.flag("use_clipped_model_output", false);
            s.plan = [=](const Schedule& schedule, int steps) {
              SchedulerPlan plan = index_plan(c, schedule, steps, c.flag("set_alpha_to_one", true), compat);
              plan.sampler = "ddim";
              plan.options = Config(nlohmann::json{{"eta", c.number("eta", 0)}}, c.where());
              return plan;
            };
            return s;
          }};
}

}  // namespace costate
