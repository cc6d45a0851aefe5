// Multistep methods that combine v of several levels where others combine eps.
#pragma once

#include "solvers/stepper.h"

namespace costate {

/// Option `values`: eps or v. With v the values of `method`, which knows eps alone, are the v of their levels, and a step
/// makes eps = alpha v + sigma x of their sum, at the level where it begins: diffusers' PNDM. It wants a network of v.
Stepper with_values(const Stepper& method, const Config& options);

}  // namespace costate
