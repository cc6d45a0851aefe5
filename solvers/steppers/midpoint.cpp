// The midpoint rule in the clock s.
#include "solvers/fixed_runge_kutta.h"

namespace costate {

/// y' = y + (s' - s) eps(y + (s' - s) / 2 eps(y, s), (s + s') / 2). `dpm-2` has the middle in lambda.
StepperType midpoint_stepper() {
  return {.name = "midpoint",
          .summary = "the midpoint rule in sigma / alpha",
          .reference = "Runge 1895",
          .options = {},
          .make = [](const Config&) { return fixed_runge_kutta(find_tableau("midpoint")); }};
}

}  // namespace costate
