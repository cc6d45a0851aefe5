// EulerDiscreteScheduler: Euler in sigma, with churn on request.
#include "tools/model/ve_scheduler.h"

namespace costate {

SchedulerClass euler_discrete_scheduler() {
  using namespace diffusers;
  const VeClass euler{.predictions = {"epsilon", "sample", "original_sample", "v_prediction"}, .method = churned_euler};
  return {.name = "EulerDiscrete",
          .keys = ve_keys() + Keys{"interpolation_type", "sigma_min", "sigma_max", "timestep_type",
                                   "rescale_betas_zero_snr", "final_sigmas_type"},
          .arguments = churn_arguments,
          .read = [euler](const Config& c, bool compat) { return ve_scheduler(euler, c, compat); }};
}

}  // namespace costate
