// EulerAncestralDiscreteScheduler: Euler with ancestral noise.
#include "tools/model/ve_scheduler.h"

namespace costate {

SchedulerClass euler_ancestral_discrete_scheduler() {
  using namespace diffusers;
  const VeClass ancestral{.predictions = {"epsilon", "v_prediction"},
                          .method = [](const Config&, bool) { return Method{"euler-ancestral"}; }};
  return {.name = "EulerAncestralDiscrete",
          .keys = beta_keys + spacing_keys + Keys{"prediction_type", "rescale_betas_zero_snr"},
          .read = [ancestral](const Config& c, bool compat) { return ve_scheduler(ancestral, c, compat); }};
}

}  // namespace costate
