// Ours: the continuous adjoint with J^T a frozen over a step and alpha sigma integrated exactly, for variance preservation.
#include <cmath>

#include "solvers/adjoint_equation.h"

namespace costate {
namespace {

/// With alpha^2 + sigma^2 = 1, freezing J^T a_x and (d eps/dz)^T a_x (instead of what alpha^2 and alpha make of them):
///   a_s   = (alpha_t / alpha_s) a_t + k / alpha_s (atan e^lambda_s - atan e^lambda_t) J^T a_t
///   a_z,s = a_z,t + k (asinh s_t - asinh s_s) (d eps/dz)^T a_t.
/// Here what was pulled back is (d eps/dy)^T a_y = alpha_t^2 J^T a_t, and alpha_t (d eps/dz)^T a_t.
MarchWeights weights(const Level& t, const Level& s, double drift) {
  const double angle = std::atan(s.alpha / s.sigma) - std::atan2(t.alpha, t.sigma);
  return {1, drift * angle / (t.alpha * t.alpha), drift * (std::asinh(t.s()) - std::asinh(s.s())) / t.alpha};
}

}  // namespace

AdjointType costate_vp_1_adjoint() {
  return {.name = "costate-vp-1",
          .summary = "ours: first order, alpha sigma integrated exactly; for variance-preserving levels",
          .consistent = "the continuous adjoint",
          .order = "1",
          .memory = "every state (none if resolved) and the tape of one evaluation",
          .reference = "this project",
          .options = march_options(),
          .make = [](const Config& options) {
            Adjoint adjoint = marching_adjoint("costate-vp-1", {.weights = weights}, options);
            adjoint.forward = [march = adjoint.forward](const GradientProblem& problem) {
              for (const Level& at : problem.sampler.grid)
                require(
                    std::abs(std::hypot(at.alpha, at.sigma) - 1) < 1e-6,
                    "costate-vp-1: level t = {} has alpha^2 + sigma^2 = {}, not 1; take adjointdeis-1, which is the "
                    "same idea where alpha is constant",
                    at.t, at.alpha * at.alpha + at.sigma * at.sigma);
              return march(problem);
            };
            return adjoint;
          }};
}

}  // namespace costate
