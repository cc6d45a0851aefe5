// KDPM2DiscreteScheduler: DPM-Solver-2 with its stage in the middle of ln sigma.
#include "tools/model/ve_scheduler.h"

namespace costate {

SchedulerClass kdpm2_discrete_scheduler() {
  using namespace diffusers;
  const VeClass dpm2{.betas = {0.00085, 0.012},
                     .predictions = {"epsilon", "v_prediction"},
                     .whole_karras_times = true,
                     .method = [](const Config&, bool) { return Method{"dpm-2"}; }};
  return {.name = "KDPM2Discrete", .keys = ve_keys(), .read = [dpm2](const Config& c, bool compat) {
            return ve_scheduler(dpm2, c, compat);
          }};
}

}  // namespace costate
