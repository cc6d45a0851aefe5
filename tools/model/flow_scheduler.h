// What diffusers' flow matching schedulers share.
#pragma once

#include "tools/model/scheduler_parts.h"

namespace costate::diffusers {

inline const Keys flow_match_keys = {"num_train_timesteps", "shift"};
/// Also reads use_dynamic_shifting, time_shift_type, shift_terminal and the spacings of sigma.
Scheduler flow_scheduler(const Config& c, bool compat, const Method& method);

}  // namespace costate::diffusers
