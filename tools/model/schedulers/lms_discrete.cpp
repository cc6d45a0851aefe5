// LMSDiscreteScheduler: Adams-Bashforth in sigma.
#include "tools/model/ve_scheduler.h"

namespace costate {

SchedulerClass lms_discrete_scheduler() {
  using namespace diffusers;
  const VeClass lms{.method = [](const Config& c, bool) { return Method{"lms", {{"order", c.integer("order", 4)}}}; }};
  return {
      .name = "LMSDiscrete", .keys = ve_keys(), .arguments = {"order"}, .read = [lms](const Config& c, bool compat) {
        return ve_scheduler(lms, c, compat);
      }};
}

}  // namespace costate
