// AdjointDEIS-1: the continuous adjoint by explicit Euler in s = sigma / alpha.
#include "solvers/adjoint_equation.h"

namespace costate {

/// Published (Blasingame and Liu 2024, "AdjointDEIS", section 3, order 1): from the cleaner level t to the noisier s,
/// with h = lambda_s - lambda_t < 0, V_x = alpha_t^2 J^T a_t and V_z = alpha_t (d eps/dz)^T a_t (theta as z),
///   a_s   = (alpha_t / alpha_s) a_t + k (sigma_s / alpha_s^2) (e^h - 1) V_x
///   a_z,s = a_z,t + k (sigma_s / alpha_s) (e^h - 1) V_z
/// with k = 1 for the ODE and 2 for the SDE. With a_y = alpha a_x and sigma_s / alpha_s (e^h - 1) = s_t - s_s both lines
/// are Euler's method for da_y/ds = -k (d eps/dy)^T a_y, da_z/ds = -k (d eps/dz)^T a_y.
/// The network is evaluated at the last level of the grid too; with sigma = 0 there, its prediction must not be x_0 or noise.
AdjointType adjointdeis_1_adjoint() {
  return {.name = "adjointdeis-1",
          .summary = "the continuous adjoint equation of the ODE or the SDE, one evaluation a step",
          .consistent = "the continuous adjoint",
          .order = "1",
          .memory = "every state (none if resolved) and the tape of one evaluation",
          .reference = "Blasingame and Liu 2024, \"AdjointDEIS\", with the errata of solvers/README.md",
          .options = march_options(),
          .make = [](const Config& options) {
            return marching_adjoint("adjointdeis-1", {.weights = euler_in_s, .two_step = false}, options);
          }};
}

}  // namespace costate
