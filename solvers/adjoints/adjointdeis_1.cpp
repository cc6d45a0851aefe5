// AdjointDEIS-1: the continuous adjoint by explicit Euler in s = sigma / alpha, on the sampler's own states.
#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "autodiff/transform.h"
#include "solvers/adjoint.h"

namespace costate {
namespace {

/// {(d eps/dy)^T a, (d eps/dp)^T a} at a level.
Tensors pull_eps(const GradientProblem& problem, const Sampler& sampler, const Level& at, const Tensor& y,
                 const Tensor& a) {
  Tensors in{y};
  in.insert(in.end(), problem.p.begin(), problem.p.end());
  Wanted wanted{true};
  wanted.insert(wanted.end(), problem.wrt_p.begin(), problem.wrt_p.end());
  const Vjp eps =
      vjp([&](const Tensors& t) { return Tensors{sampler.denoiser.eps(t[0], at, Tensors(t.begin() + 1, t.end()))}; },
          in, wanted);
  return eps.pull_once({a});
}

/// Published (Blasingame and Liu 2024, "AdjointDEIS", section 3, order 1): from the cleaner level t to the noisier s,
/// with h = lambda_s - lambda_t < 0, V_x = alpha_t^2 J^T a_t and V_z = alpha_t (d eps/dz)^T a_t (theta as z),
///   a_s   = (alpha_t / alpha_s) a_t + (sigma_s / alpha_s^2) (e^h - 1) V_x
///   a_z,s = a_z,t + (sigma_s / alpha_s) (e^h - 1) V_z.
/// With a_y = alpha a_x and sigma_s / alpha_s (e^h - 1) = s_t - s_s both lines are Euler's method for
///   da_y/ds = -(d eps/dy)^T a_y,   da_z/ds = -(d eps/dz)^T a_y.
/// The network is evaluated at the last level of the grid too; with sigma = 0 there, its prediction must be eps or v.
void euler_in_s(const GradientProblem& problem, const Sampler& sampler, Gradient& result) {
  require(sampler.stepper.eta == 0,
          "adjointdeis-1: is for the probability-flow ODE, so eta = {} should be 0; with noise take checkpointed",
          sampler.stepper.eta);
  require(sampler.grid.front().alpha > 0, "adjointdeis-1: the clock s is infinite at the first level (alpha = 0)");
  const int steps = sampler.steps();
  std::vector<State> states = trajectory(sampler, problem.x_T, problem.p, [&](std::int64_t done, std::int64_t) {
    report(problem.progress, done, 2 * steps);
  });
  Tensor a = loss_cotangent(problem, states.back().y, result);
  for (int i = steps; i > 0; --i) {
    const Level& t = sampler.grid[static_cast<std::size_t>(i)];
    const double ds = sampler.grid[static_cast<std::size_t>(i) - 1].s() - t.s();
    const Tensors g = pull_eps(problem, sampler, t, states.back().y, a);
    states.pop_back();
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
