// DPMSolverMultistepScheduler: multistep DPM-Solver and DPM-Solver++, ODE and SDE.
#include "tools/model/dpm_multistep.h"
#include "tools/model/vp_scheduler.h"

namespace costate {

SchedulerClass dpmsolver_multistep_scheduler() {
  using namespace diffusers;
  return {.name = "DPMSolverMultistep",
          .keys = vp_keys + dpm_keys +
                  Keys{"use_lu_lambdas", "final_sigmas_type", "lambda_min_clipped", "variance_type",
                       "rescale_betas_zero_snr"},
          .arguments = {"mu"},
          .read = [](const Config& c, bool compat) {
            check_dpm_ends(c);
            return vp_scheduler({}, c, compat, [=](int steps) { return dpm_multistep(c, steps, compat); });
          }};
}

}  // namespace costate
