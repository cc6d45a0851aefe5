// diffusers' scheduler_config.json in costate's terms.
#pragma once

#include <string>

#include "core/config.h"

namespace costate {

/// {"schedule": {...}, "prediction": "...", "sampling": {"grid", "final", "offset"}} as JSON text, from a scheduler's
/// configuration. Values that would change the result and are not supported throw.
std::string from_diffusers_scheduler(const Config& scheduler);

}  // namespace costate
