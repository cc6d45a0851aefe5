// DDPMScheduler: ancestral sampling.
#include "tools/model/index_scheduler.h"

namespace costate {
namespace {

using namespace diffusers;

/// diffusers adds the large variance's noise in the last step, too, unless the network was asked at t = 0; its
/// fixed_large_log takes the root of a logarithm.
SchedulerPlan plan_of(const Config& c, bool compat, const Schedule& schedule, int steps) {
  const std::string variance =
      c.choice("variance_type", "fixed_small",
               {"fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned_range"});
  if (compat && variance == "fixed_large_log")
    c.unsupported("variance_type", "the library has NaN there; leave compat out, or take fixed_large");
  const bool large = variance.rfind("fixed_large", 0) == 0;
  SchedulerPlan plan;
  plan.sampler = "ddpm";
  for (const double t : timesteps(c, steps, {})) plan.grid.push_back(schedule.level(t));
  const bool final_noise = compat && large && plan.grid.back().t > 0;
  finish(plan, {0, 1, 0}, compat);
  plan.options = Config({{"variance", large                         ? "large"
                                      : variance == "learned_range" ? variance
                                                                    : "small"},
                         {"final_noise", final_noise}},
                        c.where());
  return plan;
}

}  // namespace

SchedulerClass ddpm_scheduler() {
  return {.name = "DDPM",
          .keys = beta_keys + spacing_keys + clip_keys + threshold_keys +
                  Keys{"variance_type", "prediction_type", "rescale_betas_zero_snr"},
          .read = [](const Config& c, bool compat) {
            Scheduler s;
            s.schedule = Config(betas(c, "ddpm"), c.where());
            s.prediction = prediction(c, {"epsilon", "sample", "v_prediction"});
            s.correct = correction(c, true);
            s.plan = [=](const Schedule& schedule, int steps) { return plan_of(c, compat, schedule, steps); };
            return s;
          }};
}

}  // namespace costate
