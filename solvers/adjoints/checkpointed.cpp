// Checkpointed: keeps every state and tapes one step at a time on the way back. Bit for bit what direct gives.
#include <algorithm>

#include "autodiff/transform.h"
#include "solvers/adjoint.h"

namespace costate {
namespace {

/// {y, memory..., p...}: the arguments of a step in one list.
Tensors packed(const State& state, const Tensors& p) {
  Tensors all{state.y};
  all.insert(all.end(), state.memory.begin(), state.memory.end());
  all.insert(all.end(), p.begin(), p.end());
  return all;
}

/// A cotangent that is zero everywhere as "none": the tape adds nothing for a value nobody read, where 0 + (-0) would
/// drop a sign. Not under an outer derivative, to which a zero may still be a function of something.
Tensor undefined_if_zero(const Tensor& a) { return !watched({a}) && is_all_zero(a) ? Tensor() : a; }

/// One step back: `a` holds the cotangents of {y, memory..., p...} after step `index` and receives those before it. The
/// step returns p as well, so that the tape itself adds this step's share to the sum of the later ones, in the order in
/// which one long tape would.
void pull_step(const GradientProblem& problem, const Sampler& sampler, int index, const State& state, Tensors& a) {
  const std::size_t states = 1 + state.memory.size();
  const bool first = index == 0;  // its y depends on x_T alone
  const bool any_p = std::find(problem.wrt_p.begin(), problem.wrt_p.end(), true) != problem.wrt_p.end();
  Wanted wanted(states, !first || problem.wrt_x_T);
  wanted.insert(wanted.end(), problem.wrt_p.begin(), problem.wrt_p.end());
  if (first && !problem.wrt_x_T && !any_p) return;

  const Vjp taped = vjp(
      [&](const Tensors& in) {
        const auto p_begin = in.begin() + static_cast<std::ptrdiff_t>(states);
        const Tensors p(p_begin, in.end());
        return packed(sampler.step(index, {in[0], Tensors(in.begin() + 1, p_begin)}, p), p);
      },
      packed(state, problem.p), wanted);
  a = taped.pull_once(a);
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (wanted[i]) a[i] = undefined_if_zero(a[i]);
  }
}

void step_by_step(const GradientProblem& problem, const Sampler& sampler, Gradient& result) {
  const int steps = sampler.steps();
  std::vector<State> states = trajectory(sampler, problem.x_T, problem.p, [&](std::int64_t done, std::int64_t) {
    report(problem.progress, done, 2 * steps);
  });
  const std::int64_t forward = result.nfe;
  Tensors a = packed({loss_cotangent(problem, states.back().y, result), Tensors(states.back().memory.size())},
                     Tensors(problem.p.size()));
  for (int i = steps - 1; i >= 0; --i) {
    states.pop_back();
    pull_step(problem, sampler, i, states.back(), a);
    report(problem.progress, 2 * steps - i, 2 * steps);
  }
  result.vjps = result.nfe - forward;
  const auto or_zero = [](const Tensor& t, const Tensor& like) {
    return t.defined() ? t : Tensor::zeros(like.shape(), like.dtype(), like.device());
  };
  if (problem.wrt_x_T) result.x_T = start_cotangent(problem, or_zero(a[0], problem.x_T));
  for (std::size_t i = 0; i < problem.p.size(); ++i) {
    if (problem.wrt_p[i]) result.p[i] = or_zero(a[1 + i], problem.p[i]);
  }
}

}  // namespace

Adjoint checkpointed_adjoint() {
  return {.name = "checkpointed",
          .summary = "keeps the states and differentiates the sampler one recomputed step at a time",
          .consistent = "the sampler",
          .memory = "every state and the tape of one step",
          .reference = "Chen et al. 2016, \"Training deep nets with sublinear memory cost\", with a checkpoint a step",
          .gradient = [](const GradientProblem& problem) { return solve(problem, step_by_step); }};
}

}  // namespace costate
