// What diffusers' schedulers for EDM's preconditioned networks share.
#pragma once

#include "tools/model/scheduler_parts.h"

namespace costate::diffusers {

/// sigma_min, sigma_max, sigma_data, sigma_schedule, rho, num_train_timesteps (which changes nothing), prediction_type,
/// final_sigmas_type
inline const Keys edm_keys = {"sigma_min", "sigma_max",           "sigma_data",      "sigma_schedule",
                              "rho",       "num_train_timesteps", "prediction_type", "final_sigmas_type"};
Scheduler edm_scheduler(const Config& c, bool compat, std::function<Method(int steps)> method);

}  // namespace costate::diffusers
