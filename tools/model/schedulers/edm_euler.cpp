// EDMEulerScheduler: Euler on EDM's preconditioned networks.
#include "tools/model/edm_scheduler.h"

namespace costate {

SchedulerClass edm_euler_scheduler() {
  using namespace diffusers;
  return {.name = "EDMEuler", .keys = edm_keys, .arguments = churn_arguments, .read = [](const Config& c, bool compat) {
            return edm_scheduler(c, compat, [=](int) { return churned_euler(c, compat); });
          }};
}

}  // namespace costate
