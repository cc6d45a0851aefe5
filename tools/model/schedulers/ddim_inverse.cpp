// DDIMInverseScheduler: DDIM from data to noise, for costate encode.
#include <algorithm>
#include <limits>

#include "tools/model/index_scheduler.h"

namespace costate {
namespace {

using namespace diffusers;

/// diffusers tells the network the level that a step goes to while it gives it x at the one that the step comes from, T / N
/// below it, and so asks it at the clean end as well. Here a step upwards is Euler's.
void follow_library(SchedulerPlan& plan) {
  Grid to(plan.grid.begin(), plan.grid.end() - 1);
  if (!plan.targets.empty()) {  // each step begins off the grid, x being taken for x there
    std::copy(plan.targets.begin(), plan.targets.end(), plan.grid.begin() + 1);
    plan.reached = to;
    plan.targets.clear();
  }
  // All but clean, and all but the level before where it repeats that one (which matters: the step clips x_0), so that the step
  // from there is a step like others.
  Level& end = plan.grid.back();
  if (end.sigma == 0) end.sigma = std::numeric_limits<double>::min();
  if (plan.repeats) end.sigma *= 1 - 1e-15;
  plan.repeats = false;
  plan.told = {to.front()};
  plan.told.insert(plan.told.end(), to.begin(), to.end());
}

Scheduler read(const Config& c, bool compat) {
  Scheduler s;
  s.schedule = Config(betas(c, "ddpm"), c.where());
  s.prediction = prediction(c, {"epsilon", "sample", "v_prediction"});
  s.correct = correction(c, true);
  s.eps_follows = !s.correct || !compat;
  static_cast<void>(c.choice("timestep_spacing", "leading", {"leading", "trailing"}));
  s.plan = [=](const Schedule& schedule, int steps) {
    SchedulerPlan plan = index_plan(c, schedule, steps, c.flag("set_alpha_to_one", true), compat);
    take(plan, {"ddim"}, c);
    plan.inverse = true;
    if (compat) follow_library(plan);
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
