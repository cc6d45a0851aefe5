// DPMSolverSDEScheduler: k-diffusion's dpmpp_sde, with noise at the stage as well.
#include "tools/model/ve_scheduler.h"

namespace costate {

/// noise_sampler_seed is the seed of the library's Brownian tree; noise here follows --seed.
SchedulerClass dpmsolver_sde_scheduler() {
  using namespace diffusers;
  const VeClass sde{
      .betas = {0.00085, 0.012}, .predictions = {"epsilon", "v_prediction"}, .method = [](const Config& c, bool) {
        return Method{"sde-dpmpp-2s", {{"eta", 1}, {"S_noise", c.number("s_noise", 1)}}};
      }};
  return {.name = "DPMSolverSDE",
          .keys = ve_keys() + Keys{"noise_sampler_seed"},
          .arguments = {"s_noise"},
          .read = [sde](const Config& c, bool compat) {
            refuse_set(c, "noise_sampler_seed", "supported: null; give a seed");
            return ve_scheduler(sde, c, compat);
          }};
}

}  // namespace costate
