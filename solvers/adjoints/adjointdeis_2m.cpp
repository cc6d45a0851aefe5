// AdjointDEIS-2M: as AdjointDEIS-1, with what was pulled back extrapolated from two levels.
#include "solvers/adjoint_equation.h"

namespace costate {

/// Published (Blasingame and Liu 2024, section 3, order 2M): AdjointDEIS-1 with D = (1 + 1 / (2 r)) V_i - 1 / (2 r) V_(i-1)
/// in place of V, r = (previous h) / h; the first step takes D = V. Of second order where the states are.
AdjointType adjointdeis_2m_adjoint() {
  return {.name = "adjointdeis-2m",
          .summary = "as adjointdeis-1, extrapolated from two levels",
          .consistent = "the continuous adjoint",
          .order = "2 on states of order 2 (ODE); 1 for the SDE",
          .memory = "every state (none if resolved) and the tape of one evaluation",
          .reference = "Blasingame and Liu 2024, \"AdjointDEIS\", with the errata of solvers/README.md",
          .options = march_options(),
          .make = [](const Config& options) {
            return marching_adjoint("adjointdeis-2m", {.weights = euler_in_s, .two_step = true}, options);
          }};
}

}  // namespace costate
