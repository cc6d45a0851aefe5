// Symplectic: the partitioned Runge-Kutta pair of the sampler's own method, so the exact gradient one stage at a time.
#include <memory>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "solvers/adjoint_equation.h"

namespace costate {
namespace {

const Tableau& tableau_of(const Sampler& sampler, int index) {
  const bool to_zero = sampler.grid[static_cast<std::size_t>(index) + 1].sigma == 0;
  return to_zero ? find_tableau("euler") : *sampler.stepper.tableau;
}

/// The states that the stages of a step are fed.
std::vector<Tensor> stage_states(const GradientProblem& problem, const Tableau& method, int index, double from,
                                 double to, const Tensor& y) {
  const Tensors p = problem.sampler.parameters(index, problem.p);
  std::vector<Tensors> slopes;
  std::vector<Tensor> states;
  for (std::size_t i = 0; i < method.c.size(); ++i) {
    states.push_back(rk_combine({y}, to - from, method.a[i], slopes)[0]);
    if (i + 1 == method.c.size()) break;  // the last stage's slope comes with its VJP
    const double at = method.c[i] == 1 ? to : from + method.c[i] * (to - from);
    slopes.push_back({problem.sampler.denoiser.eps(states[i], level_at(problem.sampler, at), p)});
  }
  return states;
}

/// One step back. With a the cotangent after it and l_i = (d eps/dy)^T w_i at stage i (from the last to the first),
///   w_i = h (b_i a + sum_(j>i) a_ji l_j),   a <- a + sum l_i,   a_p <- a_p + sum (d eps/dp)^T w_i:
/// the symplectic partner with coefficients b_j (1 - a_ji / b_i) (Sanz-Serna 2016), written so that b_i may be 0.
void step_back(const GradientProblem& problem, int index, const Tensor& y, Cotangent& a) {
  const Sampler& sampler = problem.sampler;
  const Tableau& method = tableau_of(sampler, index);
  const double from = sampler.grid[static_cast<std::size_t>(index)].s(),
               to = sampler.grid[static_cast<std::size_t>(index) + 1].s(), h = to - from;
  const auto states = stage_states(problem, method, index, from, to, y);
  std::vector<Tensor> pulled(states.size());
  for (std::size_t i = states.size(); i-- > 0;) {
    Tensor w = scale(a.y, h * method.b[i]);
    for (std::size_t j = i + 1; j < states.size(); ++j) {
      if (i < method.a[j].size() && method.a[j][i] != 0) w = lincomb(1, w, h * method.a[j][i], pulled[j]);
    }
    const double at = method.c[i] == 1 ? to : from + method.c[i] * h;
    const Cotangent g = pull_field(problem, &Denoiser::eps, index, level_at(sampler, at), states[i], w);
    pulled[i] = g.y;
    for (std::size_t k = 0; k < a.p.size(); ++k) {
      if (problem.wrt_p[k]) a.p[k] = a.p[k].defined() ? add(a.p[k], g.p[k]) : g.p[k];
    }
  }
  for (const auto& l : pulled) a.y = add(a.y, l);
}

Pulled pull(const GradientProblem& problem, std::vector<Tensor>& states, const Tensor& a_0) {
  const int steps = problem.sampler.steps();
  Cotangent a = clean_end(problem, a_0);
  for (int i = steps - 1; i >= 0; --i) {
    const Tensor y = states.back();
    states.pop_back();
    step_back(problem, i, y, a);
    add_running(problem, i, y, a);
    require_finite_step("symplectic", steps - i, steps, problem.sampler.grid[static_cast<std::size_t>(i) + 1],
                        problem.sampler.grid[static_cast<std::size_t>(i)], y, a.y);
    report_back(problem, steps - i, steps);
  }
  return pulled_from(problem, a);
}

Forward with_partner(const GradientProblem& problem) {
  refuse_adjoint_grid(problem, "symplectic");
  const Sampler& sampler = problem.sampler;
  require(sampler.stepper.tableau != nullptr,
          "symplectic: {} is not one Runge-Kutta step in sigma / alpha at a time; take sampler ddim, heun or rk4, or "
          "adjoint checkpointed",
          sampler.stepper.name);
  require(sampler.grid.front().alpha > 0,
          "symplectic: the clock sigma / alpha is infinite at the first level (alpha = 0); take checkpointed");
  const auto states = std::make_shared<std::vector<Tensor>>();
  Forward run;
  Tensor last;
  run.running = walk_forward(problem, [&](int index, const State& state) {
    if (index < sampler.steps()) states->push_back(state.y);
    last = state.y;
  });
  run.x_0 = sampler.x_at(sampler.steps(), {last, {}});
  run.pull = [problem, states](const Tensor& a_0) { return pull(problem, *states, a_0); };
  return run;
}

}  // namespace

AdjointType symplectic_adjoint() {
  return {.name = "symplectic",
          .summary = "the symplectic partner of Runge-Kutta samplers: exact, one stage taped at a time",
          .consistent = "the sampler",
          .order = "exact",
          .memory = "every state and the tape of one evaluation",
          .reference = "Matsubara et al. 2021, \"Symplectic adjoint method\"; Pan et al. 2023, \"SAG\"",
          .options = {},
          .make = [](const Config&) { return Adjoint{.exact = true, .forward = with_partner}; }};
}

}  // namespace costate
