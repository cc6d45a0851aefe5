// What exact ways back share: the run forward, and one step of the sampler pulled back through its own tape.
#include "solvers/way_back.h"

#include <algorithm>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "autodiff/transform.h"
#include "solvers/norm.h"

namespace costate {
namespace {

/// {y, memory..., p...}: the arguments of a step in one list.
Tensors packed(const State& state, const Tensors& p) {
  Tensors all{state.y};
  all.insert(all.end(), state.memory.begin(), state.memory.end());
  all.insert(all.end(), p.begin(), p.end());
  return all;
}

LateCheck::Report no_number(const std::string& name, int done, int steps, double from, double to, const Tensor& y,
                            const char* remedy) {
  return [=](std::int64_t) {
    fail("{}: step {} of {} back (t = {:.6g} to {:.6g}) gave a NaN or an infinity; the norm of the state is {:.3e}. {}",
         name, done, steps, from, to, norm(y), remedy);
  };
}

}  // namespace

Tensor walk_forward(const GradientProblem& problem, const std::function<void(int, const State&)>& visit) {
  const Sampler& sampler = problem.sampler;
  Tensor cost;
  const auto half = [&](std::int64_t done, std::int64_t steps) { report(problem.progress, done, 2 * steps); };
  walk(sampler, problem.x_T, problem.p, half, [&](int index, const State& state) {
    if (problem.running && index < sampler.steps()) {
      const Tensor here = problem.running(index, sampler.x_at(index, state));
      require(here.size() == 1, "gradient: the running cost at level {} has shape {}, not a scalar", index,
              here.shape());
      cost = cost.defined() ? add(cost, here) : here;
    }
    visit(index, state);
  });
  return cost;
}

void report_back(const GradientProblem& problem, int done, int steps) {
  report(problem.progress, steps + done, 2 * steps);
}

Tensors end_cotangents(const GradientProblem& problem, const State& last, const Tensor& a_0) {
  return packed({clean_end(problem, a_0).y, Tensors(last.memory.size())}, Tensors(problem.p.size()));
}

// The step returns p as well, so that the tape itself adds this step's share to the sum of the later ones, in the order
// in which one long tape would.
void pull_step(const GradientProblem& problem, int index, const State& state, Tensors& a, const std::string& name,
               LateCheck& late) {
  const std::size_t states = 1 + state.memory.size();
  const bool first = index == 0;  // its y depends on x_T alone
  const bool any_p = std::find(problem.wrt_p.begin(), problem.wrt_p.end(), true) != problem.wrt_p.end();
  Wanted wanted(states, !first || problem.wrt_x_T);
  wanted.insert(wanted.end(), problem.wrt_p.begin(), problem.wrt_p.end());
  if (first && !problem.wrt_x_T && !any_p) return;

  const Sampler& sampler = problem.sampler;
  const auto before = problem.effort->nfe;
  const Vjp taped = vjp(
      [&](const Tensors& in) {
        const auto p_begin = in.begin() + static_cast<std::ptrdiff_t>(states);
        const Tensors p(p_begin, in.end());
        const State here{in[0], Tensors(in.begin() + 1, p_begin)};
        Tensor cost;
        if (problem.running) cost = problem.running(index, sampler.x_at(index, here));
        Tensors out = packed(sampler.step(index, here, p, late), p);
        if (problem.running) out.push_back(cost);
        return out;
      },
      packed(state, problem.p), wanted);
  problem.effort->vjps += problem.effort->nfe - before;
  if (problem.running) {
    const Tensor& cost = taped.value.back();
    a.push_back(Tensor::full(cost.shape(), 1, cost.kind()));
  }
  a = taped.pull_reached(a);  // nothing for a value that nobody read, as in one long tape: 0 + (-0) would drop a sign
  if (a[0].defined())
    late.look(a[0], no_number(name, sampler.steps() - index, sampler.steps(),
                              sampler.grid[static_cast<std::size_t>(index) + 1].t,
                              sampler.grid[static_cast<std::size_t>(index)].t, state.y,
                              "This is the sampler's own gradient: take more and shorter steps, or a smaller loss"));
}

void require_finite_step(const std::string& name, int done, int steps, const Level& from, const Level& to,
                         const Tensor& y, const Tensor& a, const char* remedy) {
  LateCheck now;
  now.look(a, no_number(name, done, steps, from.t, to.t, y, remedy));
  now.finish();
}

Pulled pulled_from(const GradientProblem& problem, const Tensors& a) {
  // The first state remembers nothing: behind y follow the parameters.
  return pulled_from(problem, Cotangent{a[0], Tensors(a.begin() + 1, a.end())});
}

void refuse_adjoint_grid(const GradientProblem& problem, const char* name) {
  require(problem.adjoint_grid.empty(),
          "{}: differentiates the sampler's own steps and takes no steps of its own; leave the adjoint's grid out, or "
          "take adjointdeis-1 or -2m",
          name);
}

// x = c y at both ends.
Cotangent clean_end(const GradientProblem& problem, const Tensor& a_0) {
  return {scale(a_0, problem.sampler.grid.back().scale()), Tensors(problem.p.size())};
}

Pulled pulled_from(const GradientProblem& problem, const Cotangent& a) {
  Pulled back{.x_T = {}, .p = a.p};
  if (problem.wrt_x_T && a.y.defined()) back.x_T = scale(a.y, 1 / problem.sampler.grid.front().scale());
  return back;
}

}  // namespace costate
