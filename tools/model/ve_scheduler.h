// What diffusers' schedulers taken from k-diffusion share: the state is x / alpha, levels are sigmas.
#pragma once

#include "tools/model/scheduler_parts.h"

namespace costate::diffusers {

struct VeClass {
  BetaDefaults betas = {};
  Keys predictions = {"epsilon", "sample", "v_prediction"};
  bool whole_karras_times = false;  ///< the network is told rounded indices under use_karras_sigmas
  std::function<Method(const Config& c, bool compat)> method;
};
/// Reads the keys below, final_sigmas_type, interpolation_type, timestep_type and rescale_betas_zero_snr.
Scheduler ve_scheduler(const VeClass& of, const Config& c, bool compat);
Keys ve_keys();  ///< betas, spacing, sigmas, prediction_type

}  // namespace costate::diffusers
