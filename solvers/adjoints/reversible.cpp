// Reversible: the states on the way back are the sampler's own steps inverted, so none is kept.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "autodiff/ops/add.h"
#include "autodiff/transform.h"
#include "solvers/norm.h"
#include "solvers/way_back.h"

namespace costate {
namespace {

/// How far from x_T the inverted states have come back, said where it is farther than rounding explains. Throws where it is
/// farther than single precision goes astray. Behind pure noise there is no inverse to tell by.
std::string check_return(const GradientProblem& problem, const State& second) {
  constexpr double most = 1e-3;  // of its norm
  const Sampler& sampler = problem.sampler;
  if (sampler.grid.front().alpha == 0) return {};
  const Tensor start = stop_gradient(sampler.start(problem.x_T).y);
  const Tensor back = stop_gradient(sampler.invert(0, second, problem.p).y);
  const double off = norm(lincomb(1, back, -1, start)) / std::max(norm(start), 1e-300);
  require(
      off <= most,
      "reversible: the inverse of {} steps of {} comes back to x_T off by {:.1e} of its norm (t = {:.6g}; the norm of "
      "the state is {:.3e}); take checkpointed, fewer steps, or sampler o-belm",
      sampler.steps(), sampler.stepper.name, off, sampler.grid.front().t, norm(start));
  if (off <= (sampler.denoiser.dtype == DType::f64 ? 1e-11 : 1e-5)) return {};
  return fmt::format(
      "reversible: the inverse of {} steps of {} comes back to x_T off by {:.0e} of its norm, and the gradient may be "
      "off "
      "by as much; steps that contract lose what the inverse needs, those of an SDE twice as many digits as those of "
      "the ODE. Take checkpointed, or a grid that ends at more noise",
      sampler.steps(), sampler.stepper.name, off);
}

/// The step from a state that was inverted is taped as any other; the first state is x_T itself, so that the first step
/// starts as the sampler's did.
Pulled pull(const GradientProblem& problem, const State& last, const Tensor& a_0) {
  const Sampler& sampler = problem.sampler;
  const int steps = sampler.steps();
  Tensors a = end_cotangents(problem, last, a_0);
  State state = last;
  std::string warning;
  for (int i = steps - 1; i >= 0; --i) {
    if (i == 0 && steps > 1) warning = check_return(problem, state);
    state = i == 0 ? sampler.start(problem.x_T) : sampler.invert(i, state, problem.p);
    if (i == 1 && sampler.grid.front().alpha == 0) state.memory.clear();  // behind pure noise, as at the start
    pull_step(problem, i, state, a, "reversible");
    report_back(problem, steps - i, steps);
  }
  Pulled back = pulled_from(problem, a);
  back.warning = warning;
  return back;
}

Forward without_states(const GradientProblem& problem) {
  refuse_adjoint_grid(problem, "reversible");
  require(
      problem.sampler.stepper.invert != nullptr,
      "reversible: the steps of {} have no inverse; take sampler o-belm, bdia, edict or rex, or adjoint checkpointed",
      problem.sampler.stepper.name);
  State last;
  Forward run;
  run.running = walk_forward(problem, [&](int, const State& state) { last = state; });
  run.x_0 = problem.sampler.x_at(problem.sampler.steps(), last);
  run.pull = [problem, last](const Tensor& a_0) { return pull(problem, last, a_0); };
  return run;
}

}  // namespace

AdjointType reversible_adjoint() {
  return {.name = "reversible",
          .summary = "inverts the steps of o-belm, bdia, edict and rex on the way back",
          .consistent = "the sampler",
          .order = "exact, up to the rounding of the inverse",
          .memory = "one state and the tape of one step",
          .reference = "Gomez et al. 2017, \"The reversible residual network\"; Blasingame and Liu 2025, \"Rex\"",
          .options = {},
          .make = [](const Config&) { return Adjoint{.exact = true, .forward = without_states}; }};
}

}  // namespace costate
