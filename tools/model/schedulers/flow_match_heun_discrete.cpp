// FlowMatchHeunDiscreteScheduler: Heun in the time of flow matching.
#include "tools/model/flow_scheduler.h"

namespace costate {

SchedulerClass flow_match_heun_discrete_scheduler() {
  using namespace diffusers;
  return {.name = "FlowMatchHeunDiscrete", .keys = flow_match_keys, .read = [](const Config& c, bool compat) {
            return flow_scheduler(c, compat, {"heun", {{"clock", "flow"}}});
          }};
}

}  // namespace costate
