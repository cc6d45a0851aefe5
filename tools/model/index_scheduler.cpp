// Grids of indices, and the library's targets beside them.
#include "tools/model/index_scheduler.h"

namespace costate::diffusers {

SchedulerPlan index_plan(const Config& c, const Schedule& schedule, int steps, bool to_clean_end, bool compat) {
  SchedulerPlan plan;
  for (const double t : timesteps(c, steps, {})) plan.grid.push_back(schedule.level(t));
  const Level end = to_clean_end ? Level{0, 1, 0} : schedule.level(0);
  if (!compat) {
    finish(plan, end, compat);
    return plan;
  }
  const int stride = train_steps(c) / steps;
  for (const Level& at : plan.grid) plan.targets.push_back(at.t < stride ? end : schedule.level(at.t - stride));
  finish(plan, plan.targets.back(), compat);
  bool on_grid = true;
  for (std::size_t i = 0; i < plan.targets.size(); ++i) on_grid &= plan.targets[i].s() == plan.grid[i + 1].s();
  if (on_grid) plan.targets.clear();
  return plan;
}

}  // namespace costate::diffusers
