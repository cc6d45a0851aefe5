// Direct: one tape through the whole sampler.
#include <memory>

#include "autodiff/ops/add.h"
#include "autodiff/transform.h"
#include "solvers/way_back.h"

namespace costate {
namespace {

/// One long tape does not say where it overflowed: the same way back step by step does, and throws.
void locate_overflow(const GradientProblem& problem, const Tensor& a_0) {
  const auto states = trajectory(problem.sampler, problem.x_T, problem.p);
  Tensors a = end_cotangents(problem, states.back(), a_0);
  LateCheck late;
  for (int i = problem.sampler.steps() - 1; i >= 0; --i)
    pull_step(problem, i, states[static_cast<std::size_t>(i)], a, "direct", late);
  late.finish();
}

Forward through_the_loop(const GradientProblem& problem) {
  refuse_adjoint_grid(problem, "direct");
  Tensors in{problem.x_T};
  in.insert(in.end(), problem.p.begin(), problem.p.end());
  Wanted wanted{problem.wrt_x_T};
  wanted.insert(wanted.end(), problem.wrt_p.begin(), problem.wrt_p.end());

  const auto taped = std::make_shared<const Vjp>(vjp(
      [&](const Tensors& t) {
        GradientProblem here = problem;
        here.x_T = t[0];
        here.p.assign(t.begin() + 1, t.end());
        State last;
        const Tensor cost = walk_forward(here, [&](int, const State& state) { last = state; });
        Tensors out{here.sampler.x_at(here.sampler.steps(), last)};
        if (cost.defined()) out.push_back(cost);
        return out;
      },
      in, wanted));
  problem.effort->vjps = problem.effort->nfe;
  Forward run{.x_0 = taped->value[0], .pull = {}};
  if (problem.running) run.running = taped->value[1];
  run.pull = [problem, taped, running = run.running](const Tensor& a_0) {
    Tensors g{a_0};
    if (running.defined()) g.push_back(Tensor::full(running.shape(), 1, running.kind()));
    Tensors back = taped->pull_once(g);
    if (back[0].defined() && first_non_finite(back[0]) >= 0) locate_overflow(problem, a_0);
    report_back(problem, problem.sampler.steps(), problem.sampler.steps());
    return Pulled{.x_T = back[0], .p = Tensors(back.begin() + 1, back.end())};
  };
  return run;
}

}  // namespace

AdjointType direct_adjoint() {
  return {.name = "direct",
          .summary = "reverse mode through the whole sampler",
          .consistent = "the sampler",
          .order = "exact",
          .memory = "the tape of every step",
          .reference = "discretise, then optimise",
          .options = {},
          .make = [](const Config&) { return Adjoint{.exact = true, .forward = through_the_loop}; }};
}

}  // namespace costate
