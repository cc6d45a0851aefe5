// Multistep DPM-Solver as diffusers' configurations name it.
#pragma once

#include "tools/model/scheduler_parts.h"

namespace costate::diffusers {

/// solver_order, algorithm_type, solver_type, lower_order_final, euler_at_final
inline const Keys dpm_keys = {"solver_order", "algorithm_type", "solver_type", "lower_order_final", "euler_at_final"};
Method dpm_multistep(const Config& c, int steps, bool compat);
/// solver_type is midpoint, or one of other schedulers' that stand for it.
bool is_midpoint(const Config& c);
/// Throws for a final sigma of zero with a noise-form algorithm, which has no step to it in the library.
void check_dpm_ends(const Config& c);

}  // namespace costate::diffusers
