// EDMDPMSolverMultistepScheduler: multistep DPM-Solver++ on EDM's preconditioned networks.
#include "tools/model/dpm_multistep.h"
#include "tools/model/edm_scheduler.h"

namespace costate {

SchedulerClass edm_dpmsolver_multistep_scheduler() {
  using namespace diffusers;
  return {.name = "EDMDPMSolverMultistep",
          .keys = edm_keys + threshold_keys + dpm_keys,
          .read = [](const Config& c, bool compat) {
            Scheduler s = edm_scheduler(c, compat, [=](int steps) { return dpm_multistep(c, steps, compat); });
            s.correct = correction(c, false);
            return s;
          }};
}

}  // namespace costate
