// FlowMatchEulerDiscreteScheduler: Euler in the time of flow matching.
#include "tools/model/flow_scheduler.h"

namespace costate {

SchedulerClass flow_match_euler_discrete_scheduler() {
  using namespace diffusers;
  return {.name = "FlowMatchEulerDiscrete",
          .keys = flow_match_keys + sigma_keys +
                  Keys{"use_dynamic_shifting", "base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len",
                       "invert_sigmas", "shift_terminal", "time_shift_type", "stochastic_sampling"},
          .arguments = {"mu"},
          .read = [](const Config& c, bool compat) {
            refuse_set(c, "invert_sigmas", "supported: false; it is for networks whose velocity points to the data");
            return flow_scheduler(c, compat,
                                  c.flag("stochastic_sampling", false) ? Method{"consistency"} : Method{"ddim"});
          }};
}

}  // namespace costate
