// Reversible: the states on the way back are the sampler's own steps inverted, so that a few are kept for any number of steps.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "autodiff/ops/add.h"
#include "autodiff/transform.h"
#include "solvers/norm.h"
#include "solvers/way_back.h"

namespace costate {
namespace {

/// States of the run forward by level.
using Kept = std::map<int, State>;

/// The levels besides the first whose states are kept. An inverse regains what the steps contracted, lambda by lambda, twice
/// over where the SDE forgets (eta = 1), and enlarges its rounding as much. So the path is cut, evenly in lambda, where that
/// would pass a factor of 1000: two to four pieces, for any number of steps.
std::vector<int> levels_kept(const Sampler& sampler) {
  const Grid& grid = sampler.grid;
  std::size_t first = grid.front().alpha == 0 ? 1 : 0, last = grid.size() - 1;
  while (last > 0 && grid[last].sigma == 0) --last;
  std::vector<int> levels;
  if (last <= first) return levels;
  const double from = grid[first].lambda(), range = grid[last].lambda() - from;
  const double pieces = std::ceil(range * (1 + sampler.stepper.eta * sampler.stepper.eta) / std::log(1000.0));
  for (std::size_t i = first + 1; i < last; ++i) {
    const double next = from + range * static_cast<double>(levels.size() + 1) / pieces;
    if (grid[i].lambda() >= next - 1e-9 && static_cast<double>(levels.size() + 1) < pieces)
      levels.push_back(static_cast<int>(i));
  }
  return levels;
}

/// How far from a state that was kept the inverted steps come back to it, as a share of its norm; throws where that is
/// farther than single precision goes astray. Behind pure noise there is no inverse to tell by.
double missed_by(const GradientProblem& problem, int index, const State& next, const State& kept) {
  constexpr double most = 1e-3;
  const Sampler& sampler = problem.sampler;
  const Level& at = sampler.grid[static_cast<std::size_t>(index)];
  if (index + 1 == sampler.steps() || at.alpha == 0) return 0;
  const Tensor back = stop_gradient(sampler.invert(index, next, problem.p).y), there = stop_gradient(kept.y);
  const double size = norm(there), off = norm(lincomb(1, back, -1, there)) / std::max(size, 1e-300);
  require(
      off <= most,
      "reversible: step {} of {} of {}, inverted, comes back to {} off by {:.1e} of its norm (t = {:.6g}; the norm of "
      "the state is {:.3e}); take checkpointed, fewer steps, p of edict or gamma of bdia nearer to 1 (p = 0.99 for "
      "a thousand steps), or sampler o-belm",
      index + 1, sampler.steps(), sampler.stepper.name, index == 0 ? "x_T" : "a state between x_T and x_0", off, at.t,
      size);
  return off;
}

/// That the inverse lost more than rounding explains.
std::string warning_of(const Sampler& sampler, double off) {
  if (off <= (sampler.denoiser.dtype == DType::f64 ? 1e-11 : 1e-5)) return {};
  return fmt::format(
      "reversible: the inverse of {} steps of {} comes back to x_T, or a state on the way to it, off by {:.0e} of its "
      "norm, and the gradient may be off by as much. Take checkpointed, or sampler o-belm",
      sampler.steps(), sampler.stepper.name, off);
}

/// The step from a state that was inverted is taped as any other; where the state was kept, the next piece begins with it.
Pulled pull(const GradientProblem& problem, const Kept& kept, const State& last, const Tensor& a_0) {
  const Sampler& sampler = problem.sampler;
  const int steps = sampler.steps();
  Tensors a = end_cotangents(problem, last, a_0);
  State state = last;
  double off = 0;
  LateCheck late;
  for (int i = steps - 1; i >= 0; --i) {
    if (const auto own = kept.find(i); own != kept.end()) {
      off = std::max(off, missed_by(problem, i, state, own->second));
      state = own->second;
    } else {
      state = sampler.invert(i, state, problem.p);
      if (i == 1 && sampler.grid.front().alpha == 0) state.memory.clear();  // behind pure noise, as at the start
    }
    pull_step(problem, i, state, a, "reversible", late);
    report_back(problem, steps - i, steps);
  }
  late.finish();
  Pulled back = pulled_from(problem, a);
  back.warning = warning_of(sampler, off);
  return back;
}

Forward without_states(const GradientProblem& problem) {
  refuse_adjoint_grid(problem, "reversible");
  require(
      problem.sampler.stepper.invert != nullptr,
      "reversible: the steps of {} have no inverse; take sampler o-belm, bdia, edict or rex, or adjoint checkpointed",
      problem.sampler.stepper.name);
  const std::vector<int> levels = levels_kept(problem.sampler);
  Kept kept;
  State last;
  Forward run;
  run.running = walk_forward(problem, [&](int index, const State& state) {
    if (index == 0 || std::binary_search(levels.begin(), levels.end(), index)) kept.emplace(index, state);
    last = state;
  });
  run.x_0 = problem.sampler.x_at(problem.sampler.steps(), last);
  run.pull = [problem, kept, last](const Tensor& a_0) { return pull(problem, kept, last, a_0); };
  return run;
}

}  // namespace

AdjointType reversible_adjoint() {
  return {.name = "reversible",
          .summary =
              "inverts the steps of o-belm, bdia, edict and rex on the way back; the rounding of the inverse is "
              "multiplied by p^-2 a step of edict, by gamma^-1 of bdia: a thousand steps of edict want p = 0.99",
          .consistent = "the sampler",
          .order = "exact, up to the rounding of the inverse",
          .memory = "two to four states for any number of steps, and the tape of one step",
          .reference = "Gomez et al. 2017, \"The reversible residual network\"; Blasingame and Liu 2025, \"Rex\"",
          .options = {},
          .make = [](const Config&) { return Adjoint{.exact = true, .forward = without_states}; }};
}

}  // namespace costate
