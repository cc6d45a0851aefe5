// LCMScheduler: latent consistency models.
#include "tools/model/consistency_scheduler.h"

namespace costate {

SchedulerClass lcm_scheduler() {
  using namespace diffusers;
  return {.name = "LCM", .keys = consistency_keys, .read = [](const Config& c, bool) {
            // c_skip and c_out of a sigma_data of 1/2 at the scaled index
            const double boundary = 0.5 / c.number("timestep_scaling", 10);
            return consistency_scheduler(c, true, {"consistency", {{"gamma", 1}, {"boundary", boundary}}});
          }};
}

}  // namespace costate
