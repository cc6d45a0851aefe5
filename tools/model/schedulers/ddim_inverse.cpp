// DDIMInverseScheduler: DDIM from data to noise, for costate encode.
#include "tools/model/index_scheduler.h"

namespace costate {
namespace {

using namespace diffusers;

/// diffusers tells the network the level that a step goes to while it gives it x at the one that the step comes from. Here a
/// step upwards is Euler's; that slip is not followed.
Scheduler read(const Config& c, bool compat) {
  require(!compat, "{}: DDIMInverseScheduler has no --compat; leave it out", c.where());
  Scheduler s;
  s.schedule = Config(betas(c, "ddpm"), c.where());
  s.prediction = prediction(c, {"epsilon", "sample", "v_prediction"});
  s.correct = correction(c, true);
  static_cast<void>(c.choice("timestep_spacing", "leading", {"leading", "trailing"}));
  s.plan = [=](const Schedule& schedule, int steps) {
    SchedulerPlan plan = index_plan(c, schedule, steps, c.flag("set_alpha_to_one", true), false);
    take(plan, {"ddim"}, c);
    plan.inverse = true;
    return plan;
  };
  return s;
}

}  // namespace

SchedulerClass ddim_inverse_scheduler() {
  return {.name = "DDIMInverse",
          .keys = beta_keys + spacing_keys + clip_keys +
                  Keys{"set_alpha_to_one", "prediction_type", "rescale_betas_zero_snr"},
          .read = read};
}

}  // namespace costate
