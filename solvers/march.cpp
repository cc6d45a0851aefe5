// The explicit march of a continuous adjoint: one evaluation of the pulled-back field a step, at the cleaner end of each.
#include <memory>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "solvers/adjoint_equation.h"

namespace costate {
namespace {

struct Options {
  bool resolved = false, skip_last = false;
  std::string resolver;
};

/// w_a a + w_b b, where an undefined tensor is zero.
Tensor combined(double w_a, const Tensor& a, double w_b, const Tensor& b) {
  if (!b.defined() || w_b == 0) return !a.defined() || w_a == 1 ? a : scale(a, w_a);
  return a.defined() ? lincomb(w_a, a, w_b, b) : scale(b, w_b);
}

class Marching {
 public:
  Marching(std::string name, March march, Options options, GradientProblem problem)
      : name_(std::move(name)), march_(std::move(march)), options_(std::move(options)), problem_(std::move(problem)) {
    require_ode_or_sde(problem_, name_);
    grid_ = adjoint_levels(problem_, name_);
    const double eta = problem_.sampler.stepper.eta;
    drift_ = 1 + eta * eta;
    if (options_.resolved) problem_.sampler.noise = one_draw_a_step(problem_.sampler);
  }

  Forward run() {
    Forward forward;
    std::vector<Tensor> states;
    forward.running = walk_forward(problem_, [&](int index, const State& state) {
      if (!options_.resolved || index == problem_.sampler.steps()) states.push_back(state.y);
    });
    forward.x_0 = problem_.sampler.x_at(problem_.sampler.steps(), {states.back(), {}});
    state_at_ = options_.resolved ? resolved_states(problem_, grid_, states.back(), options_.resolver)
                                  : cached_states(problem_, grid_, std::move(states));
    return forward;
  }

  Pulled pull(const Tensor& a_0) {
    const int steps = static_cast<int>(grid_.size()) - 1;
    Cotangent a = clean_end(problem_, a_0), before;
    Tensor y = state_at_(steps);
    for (int i = steps; i > 0; --i) {
      const Level &t = grid_[static_cast<std::size_t>(i)], &s = grid_[static_cast<std::size_t>(i) - 1];
      if (i == steps && options_.skip_last)
        a.y = scale(a.y, s.alpha / t.alpha);  // the cotangent of x is carried over as it is
      else
        step(i, y, a, before);
      require_finite_step(name_, steps - i + 1, steps, t, s, y, a.y);
      if (i > 1 || problem_.running) y = state_at_(i - 1);
      add_running(problem_, i - 1, y, a);
      report_back(problem_, steps - i + 1, steps);
    }
    Pulled back = pulled_from(problem_, a);
    if (march_.stiff) back.warning = stiffness_warning(name_, grid_);
    return back;
  }

 private:
  /// `before`: what was pulled back at the level before this one, to the parameters as its step saw them, so that with a
  /// scheduled condition the extrapolated value is this step's share.
  void step(int i, const Tensor& y, Cotangent& a, Cotangent& before) {
    const auto at = static_cast<std::size_t>(i);
    const Level &t = grid_[at], &s = grid_[at - 1];
    const int index = step_at(problem_.sampler.grid, (t.s() + s.s()) / 2);
    const Cotangent now = pull_own(problem_, march_.reading, index, t, y, a.y);
    Cotangent used = now;
    if (march_.two_step && before.y.defined()) {
      // D = (1 + 1 / (2 r)) V - 1 / (2 r) V_before, r = h_before / h in lambda
      const double k = (s.lambda() - t.lambda()) / (2 * (t.lambda() - grid_[at + 1].lambda()));
      used.y = combined(1 + k, now.y, -k, before.y);
      for (std::size_t j = 0; j < now.p.size(); ++j) {
        if (problem_.wrt_p[j]) used.p[j] = combined(1 + k, now.p[j], -k, before.p[j]);
      }
    }
    used.p = pull_schedule(problem_, index, used.p);
    const MarchWeights w = march_.weights(t, s, drift_);
    a.y = combined(w.state, a.y, w.field, used.y);
    for (std::size_t j = 0; j < a.p.size(); ++j) {
      if (problem_.wrt_p[j]) a.p[j] = combined(1, a.p[j], w.parameters, used.p[j]);
    }
    before = now;
  }

  std::string name_;
  March march_;
  Options options_;
  GradientProblem problem_;
  Grid grid_;
  double drift_ = 1;
  StatesBack state_at_;
};

}  // namespace

MarchWeights euler_in_s(const Level& t, const Level& s, double drift) {
  const double step = drift * (t.s() - s.s());
  return {1, step, step};
}

std::vector<std::string> march_options() { return {"states", "resolver", "skip_last"}; }

Adjoint marching_adjoint(const std::string& name, const March& march, const Config& config) {
  Options options{.resolved = config.choice("states", "cached", {"cached", "resolved"}) == "resolved",
                  .skip_last = config.flag("skip_last", false),
                  .resolver = config.text("resolver", "euler")};
  require(options.resolved || !config.has("resolver"),
          "adjoint {}: resolver = {} is for states = resolved, and they are cached", name, options.resolver);
  return {.forward = [=](const GradientProblem& problem) {
    const auto back = std::make_shared<Marching>(name, march, options, problem);
    Forward run = back->run();
    run.pull = [back](const Tensor& a_0) { return back->pull(a_0); };
    return run;
  }};
}

}  // namespace costate
