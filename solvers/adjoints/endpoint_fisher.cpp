// Endpoint Fisher (DF-EA): the Jacobian of eps replaced by the endpoint approximation of the Fisher information; no VJPs.
#include <memory>

#include "autodiff/ops/add.h"
#include "solvers/adjoint_equation.h"
#include "solvers/endpoint_fisher.h"

namespace costate {
namespace {

/// Published (Wang et al. 2025, "Diffusion Fisher", (20)): sigma F a in place of J^T a; here alpha sigma F a_y, since
/// (d eps/dy)^T = alpha J^T. The text leaves the discretisation open; ours are Euler in s with F at the clean end of each step (as AdjointDEIS-1) or
/// at the noisy one (as the sampler's own gradient).
Pulled pull(const GradientProblem& problem, const std::vector<Tensor>& states, bool clean, const Tensor& a_0) {
  const Grid& grid = problem.sampler.grid;
  const int steps = problem.sampler.steps();
  const Tensor y0 = problem.sampler.x_at(steps, {states.back(), {}});
  Cotangent a = clean_end(problem, a_0);
  for (int i = steps; i > 0; --i) {
    const Level &t = grid[static_cast<std::size_t>(i)], &s = grid[static_cast<std::size_t>(i) - 1];
    const auto at = static_cast<std::size_t>(clean ? i : i - 1);
    const Level& where = clean ? t : s;
    const Tensor f = endpoint_fisher(problem.sampler.denoiser, where, states[at], y0,
                                     problem.sampler.parameters(i - 1, problem.p), a.y);
    a.y = lincomb(1, a.y, (t.s() - s.s()) * where.alpha * where.sigma, f);
    require_finite_step("endpoint-fisher", steps - i + 1, steps, t, s, states[at], a.y);
    add_running(problem, i - 1, states[static_cast<std::size_t>(i) - 1], a);
    report_back(problem, steps - i + 1, steps);
  }
  Pulled back = pulled_from(problem, a);
  if (clean) back.warning = stiffness_warning("endpoint-fisher", grid);
  return back;
}

Forward without_vjps(const GradientProblem& problem, bool clean) {
  refuse_adjoint_grid(problem, "endpoint-fisher");
  require_ode(problem, "endpoint-fisher");
  for (const bool asked : problem.wrt_p)
    require(!asked, "endpoint-fisher: has a gradient in x_T only; ask for no others, or take checkpointed");
  adjoint_levels(problem, "endpoint-fisher");
  require(!clean || problem.sampler.grid.back().sigma > 0,
          "endpoint-fisher: F is infinite at sigma = 0; take end = noisy, or end the grid above it");
  const auto states = std::make_shared<std::vector<Tensor>>();
  Forward run;
  run.running = walk_forward(problem, [&](int, const State& state) { states->push_back(state.y); });
  run.x_0 = problem.sampler.x_at(problem.sampler.steps(), {states->back(), {}});
  run.pull = [problem, states, clean](const Tensor& a_0) { return pull(problem, *states, clean, a_0); };
  return run;
}

}  // namespace

AdjointType endpoint_fisher_adjoint() {
  return {
      .name = "endpoint-fisher",
      .summary =
          "DF-EA: the endpoint approximation of the Fisher information for the Jacobian, good at high noise and where "
          "the posterior has collapsed; end = noisy or clean",
      .consistent = "neither",
      .order = "none",
      .memory = "every state, no tape",
      .reference = "Wang et al. 2025, \"Diffusion Fisher\", (20)",
      .options = {"end"},
      .make = [](const Config& options) {
        const bool clean = options.choice("end", "noisy", {"noisy", "clean"}) == "clean";
        return Adjoint{.forward = [clean](const GradientProblem& p) { return without_vjps(p, clean); }};
      }};
}

}  // namespace costate
