// Interpolated: the adjoint equation alone, solved along states interpolated from the run forward.
#include "solvers/ode_adjoint.h"

namespace costate {

AdjointType interpolated_adjoint() {
  return {
      .name = "interpolated",
      .summary = "solves the adjoint along a cubic through the states of the run forward, with a general ODE method",
      .consistent = "the continuous adjoint along the interpolated states",
      .order = "of the method, and of the states",
      .memory = "every state and slope and the tape of one evaluation",
      .reference = "Daulbaev et al. 2020, \"Interpolation technique to speed up gradients propagation in neural ODEs\"",
      .options = ode_adjoint_options(),
      .make = [](const Config& options) { return ode_adjoint("interpolated", StateSource::dense, "rk45", options); }};
}

}  // namespace costate
