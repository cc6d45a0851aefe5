// What diffusers' DDIM and PNDM share: levels are indices, and a step ends T / N below where it began.
#pragma once

#include "tools/model/scheduler_parts.h"

namespace costate::diffusers {

/// Grid of timestep_spacing, down to the clean end or to index 0. Steps end at the next level of the grid; with `compat` at
/// t - T / N rounded down, as in the library, which is another level unless the spacing is leading, or trailing and N
/// divides T.
SchedulerPlan index_plan(const Config& c, const Schedule& schedule, int steps, bool to_clean_end, bool compat);

}  // namespace costate::diffusers
