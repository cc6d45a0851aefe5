// AdjointDEIS-1: the continuous adjoint by explicit Euler in s = sigma / alpha, on the states the sampler passed through.
#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "autodiff/transform.h"
#include "solvers/adjoint.h"

namespace costate {
namespace {

/// Published (Blasingame and Liu 2024, "AdjointDEIS", (3.13) and (3.14)): from the cleaner level t to the noisier s, with
/// h = lambda_s - lambda_t < 0, V_x = alpha_t^2 J^T a_t and V_z = alpha_t (d eps/dz)^T a_t (theta as z),
///   a_s   = (alpha_t / alpha_s) a_t + (sigma_s / alpha_s^2) (e^h - 1) V_x
///   a_z,s = a_z,t + (sigma_s / alpha_s) (e^h - 1) V_z.
/// With a_y = alpha a_x and sigma_s / alpha_s (e^h - 1) = s_t - s_s both lines are Euler's method for
///   da_y/ds = -(d eps/dy)^T a_y,   da_z/ds = -(d eps/dz)^T a_y.
void euler_in_s(const GradientProblem& problem, const Sampler& sampler, Gradient& result) {
  const Grid& grid = sampler.grid;
  require(sampler.eta == 0, "adjointdeis-1: here for the probability-flow ODE only, so eta = {} should be 0; or take checkpointed",
          sampler.eta);
  const int steps = sampler.steps();
  std::vector<State> states = trajectory(sampler, problem.x_T, problem.p, [&](std::int64_t done, std::int64_t) {
    report(problem.progress, done, 2 * steps);
  });
  Tensor a = loss_cotangent(problem, states.back().y, result);
  Wanted wanted{true};
  wanted.insert(wanted.end(), problem.wrt_p.begin(), problem.wrt_p.end());
  for (int i = steps; i > 0; --i) {
    const Level& t = grid[static_cast<std::size_t>(i)];
    const double ds = grid[static_cast<std::size_t>(i) - 1].s() - t.s();
    Tensors in{states.back().y};
    in.insert(in.end(), problem.p.begin(), problem.p.end());
    states.pop_back();
    const Vjp eps = vjp(
        [&](const Tensors& u) { return Tensors{sampler.denoiser.eps(u[0], t, Tensors(u.begin() + 1, u.end()))}; }, in, wanted);
    const Tensors g = eps.pull_once({a});
    ++result.vjps;
    a = lincomb(1, a, -ds, g[0]);
    for (std::size_t k = 0; k < result.p.size(); ++k) {
      if (!problem.wrt_p[k]) continue;
      result.p[k] = result.p[k].defined() ? lincomb(1, result.p[k], -ds, g[k + 1]) : scale(g[k + 1], -ds);
    }
    report(problem.progress, 2 * steps - i + 1, 2 * steps);
  }
  if (problem.wrt_x_T) result.x_T = start_cotangent(problem, a);
}

}  // namespace

Adjoint adjointdeis_1_adjoint() {
  return {.name = "adjointdeis-1",
          .summary = "the continuous adjoint equation, first order, on the sampler's own states",
          .consistent = "the continuous adjoint",
          .memory = "every state and the tape of one evaluation",
          .reference = "Blasingame and Liu 2024, \"AdjointDEIS\", with the errata of solvers/README.md",
          .gradient = [](const GradientProblem& problem) { return solve(problem, euler_in_s); }};
}

}  // namespace costate
