// DPMSolverMultistepInverseScheduler: multistep DPM-Solver from data to noise, for costate encode.
#include <algorithm>

#include "tools/model/dpm_multistep.h"
#include "tools/model/vp_scheduler.h"

namespace costate {
namespace {

using namespace diffusers;

/// Indices from 0 or the offset upwards, and the noisiest level last.
SchedulerPlan plan_of(const Config& c, const Schedule& schedule, int steps) {
  const SigmaTable table(schedule);
  const double top = schedule.steps() - 1;
  Values t = timesteps(c, steps, {.otherwise = "linspace", .one_more = true});
  if (const std::string spacing = c.text("timestep_spacing", "linspace"); spacing == "linspace") {
    t.push_back(0);
  } else if (spacing == "leading") {  // the same stride, but begun at the clean end
    for (double& each : t) each -= schedule.steps() / (steps + 1);
    t.insert(t.begin(), top);
  }
  SchedulerPlan plan;
  if (const auto sigma = respaced(c, table.last(), table.first(), steps)) {
    for (const double s : *sigma) plan.grid.push_back(vp_level(table.t_of(s), s));
  } else {
    for (const double at : t) plan.grid.push_back(schedule.level(at));
  }
  plan.inverse = true;
  return plan;
}

Scheduler read(const Config& c, bool compat) {
  require(!compat, "{}: DPMSolverMultistepInverseScheduler has no --compat; leave it out", c.where());
  refuse_set(c, "use_flow_sigmas", "supported: false");
  refuse_set(c, "lambda_min_clipped", "supported: null");
  Scheduler s = vp_scheduler({.to_first_sigma = true}, c, false, [](int) { return Method{"ddim"}; });
  s.plan = [=](const Schedule& schedule, int steps) {
    SchedulerPlan plan = plan_of(c, schedule, steps);
    take(plan, dpm_multistep(c, steps, false), c);
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
