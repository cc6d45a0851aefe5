// Linear multistep in the clock s with K values: k-diffusion's LMS.
#include "solvers/multistep.h"

namespace costate {

/// Adams-Bashforth in s: `lms-K` is `rho-deis-(K-1)`, counted by the values used.
StepperType lms_stepper() {
  return {.name = "lms",
          .summary = "linear multistep in sigma / alpha with K values",
          .reference = "Crowson 2022, k-diffusion, sample_lms",
          .options = multistep_options(),
          .orders = {1, 2, 3, 4, 5, 6},
          .make = [](const Config& options) {
            const auto k = static_cast<int>(options.integer("order", 4));
            return multistep(
                {.points = static_cast<std::size_t>(k), .order = k, .weights = adams, .polynomial_in_lambda = false},
                options);
          }};
}

}  // namespace costate
