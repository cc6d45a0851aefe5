// Backsolve: the black-box adjoint of neural ODEs, state and adjoint solved together from x_0 back to the noise.
#include "solvers/ode_adjoint.h"

namespace costate {

/// Chen et al. 2018, appendix B, in the clock s = sigma / alpha. The error control sees the state and its adjoint only:
/// the parameters' integrals have no influence on the equation (Kidger, Chen and Lyons 2021).
AdjointType backsolve_adjoint() {
  return {.name = "backsolve",
          .summary =
              "solves state and adjoint together from x_0 back, with a general ODE method: rk45 or tsit5 to tolerance; "
              "euler, midpoint, heun, rk4 on the grid",
          .consistent = "the continuous adjoint",
          .order = "of the method",
          .memory = "one state and the tape of one evaluation",
          .reference = "Chen et al. 2018, \"Neural ordinary differential equations\"",
          .options = ode_adjoint_options(),
          .make = [](const Config& options) {
            return ode_adjoint("backsolve", StateSource::solved_back, "rk45", options);
          }};
}

}  // namespace costate
