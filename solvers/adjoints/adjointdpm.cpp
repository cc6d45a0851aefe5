// AdjointDPM: state and adjoint solved together in the rho domain, from the stored state at every level.
#include "solvers/ode_adjoint.h"

namespace costate {

/// Published (Pan et al. 2024, "AdjointDPM"): y = (alpha_0 / alpha) x and rho = alpha_0 s - sigma_0, in which
/// dy/drho = eps. Both are the canonical state and clock times alpha_0 and shifted, so that every Runge-Kutta method gives
/// the same numbers in y = x / alpha and s. The package it was published with starts each interval from the stored state.
AdjointType adjointdpm_adjoint() {
  return {.name = "adjointdpm",
          .summary =
              "AdjointDPM: state and adjoint in the rho domain, from the stored state at every level; method "
              "[the sampler's]",
          .consistent = "the continuous adjoint",
          .order = "of the method",
          .memory = "every state and the tape of one evaluation",
          .reference = "Pan et al. 2024, \"AdjointDPM\", (H.13) to (H.15)",
          .options = ode_adjoint_options(),
          .make = [](const Config& options) { return ode_adjoint("adjointdpm", StateSource::restarted, "", options); }};
}

}  // namespace costate
