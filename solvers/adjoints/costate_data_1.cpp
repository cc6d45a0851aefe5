// Ours: the continuous adjoint by explicit Euler in the data form, in the clock 1 / s on u = x / sigma.
#include "solvers/adjoint_equation.h"

namespace costate {
namespace {

/// du/dr = x_0 with u = x / sigma and r = 1 / s, so a_u = sigma a_x obeys da_u/dr = -(d x_0/du)^T a_u. In x, with
/// Jd = d x_0/dx and h = lambda_s - lambda_t < 0:
///   a_s = (sigma_t / sigma_s) a_t + (sigma_t / sigma_s)^2 alpha_s (e^-h - 1) Jd^T a_t
/// and in a_y = a_u / s what is returned. Across the data manifold, where Jd = 0, the step is exact.
MarchWeights weights(const Level& t, const Level& s, double) {
  const double up = t.s() / s.s();
  return {up, up * (1 - up), 1 - up};
}

}  // namespace

AdjointType costate_data_1_adjoint() {
  return {
      .name = "costate-data-1",
      .summary = "ours: first order in the data form, exact across the data manifold, poor along it",
      .consistent = "the continuous adjoint",
      .order = "1",
      .memory = "every state (none if resolved) and the tape of one evaluation",
      .reference = "this project",
      .options = march_options(),
      .make = [](const Config& options) {
        Adjoint adjoint =
            marching_adjoint("costate-data-1", {.reading = &Denoiser::x0, .weights = weights, .stiff = false}, options);
        adjoint.forward = [march = adjoint.forward](const GradientProblem& problem) {
          require_ode(problem, "costate-data-1");
          require(problem.sampler.grid.back().sigma > 0,
                  "costate-data-1: its clock alpha / sigma is infinite at sigma = 0; end the grid above it, or take "
                  "adjointdeis-1");
          return march(problem);
        };
        return adjoint;
      }};
}

}  // namespace costate
