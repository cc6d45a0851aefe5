// DPMSolverMultistepInverseScheduler: multistep DPM-Solver from data to noise, for costate encode.
#include <algorithm>

#include "tools/model/dpm_multistep.h"
#include "tools/model/vp_scheduler.h"

namespace costate {
namespace {

using namespace diffusers;

/// Indices from 0 or the offset upwards, and the noisiest level last. In the library it is repeated where the spacing ends at it
/// already: a last evaluation that changes nothing.
SchedulerPlan plan_of(const Config& c, const Schedule& schedule, int steps, bool compat) {
  const SigmaTable table(schedule);
  const int count = last_index(c, schedule);
  Values t = timesteps(c, steps, {.otherwise = "linspace", .one_more = true, .last = count});
  const std::string spacing = c.text("timestep_spacing", "linspace");
  if (spacing == "linspace") {
    t.push_back(0);
  } else if (spacing == "leading") {  // the same stride, but begun at the clean end
    for (double& each : t) each -= count / (steps + 1);
    t.insert(t.begin(), count - 1);
  }
  SchedulerPlan plan;
  const auto on_sigmas = respaced(c, table.last(), table.first(), steps);
  if (on_sigmas) {
    for (const double s : *on_sigmas) plan.grid.push_back(vp_level(table.t_of(s), s));
  } else {
    for (const double at : t) plan.grid.push_back(schedule.level(at));
  }
  if (compat && (on_sigmas || spacing == "trailing")) {
    plan.grid.insert(plan.grid.begin(), Level(plan.grid.front()));
    plan.repeats = true;
  }
  plan.inverse = true;
  return plan;
}

Scheduler read(const Config& c, bool compat) {
  refuse_set(c, "use_flow_sigmas", "supported: false; the library's levels run from noise to data there");
  Scheduler s = vp_scheduler({.to_first_sigma = true}, c, false, [](int) { return Method{"ddim"}; });
  s.plan = [=](const Schedule& schedule, int steps) {
    SchedulerPlan plan = plan_of(c, schedule, steps, compat);
    take(plan, dpm_multistep(c, steps, compat), c);
    return plan;
  };
  return s;
}

}  // namespace

SchedulerClass dpmsolver_multistep_inverse_scheduler() {
  return {.name = "DPMSolverMultistepInverse",
          .keys = vp_keys + dpm_keys + Keys{"lambda_min_clipped", "variance_type"},
          .read = read};
}

}  // namespace costate
