// PLMS: DDIM steps with eps extrapolated by Adams-Bashforth weights of equal steps.
#include "solvers/multistep.h"

namespace costate {

/// y' = y + (s' - s) sum_k b_k eps_k
StepperType plms_stepper() {
  return {.name = "plms",
          .summary = "pseudo linear multistep (iPNDM): DDIM with four past eps, started by lower orders",
          .reference = "Liu et al. 2022, \"PNDM\", (12); Zhang and Chen 2023 for the start",
          .options = multistep_options(),
          .make = [](const Config& options) {
            return multistep({.points = 4, .order = 2, .weights = pseudo_adams, .polynomial_in_lambda = false},
                             options);
          }};
}

}  // namespace costate
