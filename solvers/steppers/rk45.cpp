// Dormand and Prince's fifth-order Runge-Kutta method with adaptive steps in lambda.
#include "solvers/embedded.h"

namespace costate {

StepperType rk45_stepper() {
  return {.name = "rk45",
          .summary =
              "adaptive Runge-Kutta of order 5 in lambda; its steps end at the levels of the grid, or with dense = "
              "true pass them",
          .reference = "Dormand and Prince 1980",
          .options = control_options({"dense"}),
          .make = [](const Config& options) { return embedded(find_tableau("rk45"), options); }};
}

}  // namespace costate
