// HeunDiscreteScheduler: Heun in sigma.
#include "tools/model/ve_scheduler.h"

namespace costate {

SchedulerClass heun_discrete_scheduler() {
  using namespace diffusers;
  const VeClass heun{.betas = {0.00085, 0.012}, .method = [](const Config&, bool) { return Method{"heun"}; }};
  return {.name = "HeunDiscrete", .keys = ve_keys() + clip_keys, .read = [heun](const Config& c, bool compat) {
            Scheduler s = ve_scheduler(heun, c, compat);
            s.correct = correction(c, false);
            return s;
          }};
}

}  // namespace costate
