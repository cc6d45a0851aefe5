// Grids of distilled networks.
#include "tools/model/consistency_scheduler.h"

#include <cmath>

namespace costate::diffusers {

Scheduler consistency_scheduler(const Config& c, bool ends_clean, const Method& method) {
  Scheduler s;
  s.schedule = Config(betas(c, "ddpm", {0.00085, 0.012, "scaled_linear"}), c.where());
  s.prediction = prediction(c, {"epsilon", "sample", "v_prediction"});
  s.correct = correction(c, false);
  const int original = static_cast<int>(c.integer("original_inference_steps", 50)), total = train_steps(c);
  require(original >= 1 && original <= total, "{}: original_inference_steps = {} should be between 1 and {}", c.where(),
          original, total);
  s.plan = [=](const Schedule& schedule, int steps) {
    require(steps <= original, "{}: {} steps of original_inference_steps = {}", c.where(), steps, original);
    SchedulerPlan plan;
    for (int i = 0; i < steps; ++i) {
      const int place = original - static_cast<int>(std::floor(i * (static_cast<double>(original) / steps)));
      plan.grid.push_back(schedule.level(place * (total / original) - 1));
    }
    finish(plan, ends_clean ? Level{0, 1, 0} : schedule.level(0), false);
    take(plan, method, c);
    return plan;
  };
  return s;
}

}  // namespace costate::diffusers
