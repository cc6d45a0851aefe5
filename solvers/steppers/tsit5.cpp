// Tsitouras's fifth-order Runge-Kutta method with adaptive steps in lambda.
#include "solvers/embedded.h"

namespace costate {

StepperType tsit5_stepper() {
  return {.name = "tsit5",
          .summary =
              "adaptive Runge-Kutta of order 5 in lambda; its steps end at the levels of the grid, or with dense = "
              "true pass them",
          .reference = "Tsitouras 2011",
          .options = control_options({"dense"}),
          .make = [](const Config& options) { return embedded(find_tableau("tsit5"), options); }};
}

}  // namespace costate
