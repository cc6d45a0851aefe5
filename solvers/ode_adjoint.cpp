// Continuous adjoints solved by Runge-Kutta methods in the clock s, on fixed or on chosen steps.
#include "solvers/ode_adjoint.h"

#include <memory>
#include <utility>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"

namespace costate {
namespace {

struct Options {
  std::string name;
  StateSource source = StateSource::solved_back;
  std::string method;
  Tolerance tolerance;
};

class OdeBack {
 public:
  OdeBack(Options options, GradientProblem problem) : options_(std::move(options)), problem_(std::move(problem)) {
    require_ode(problem_, options_.name);
    grid_ = adjoint_levels(problem_, options_.name);
    const Tableau* own = problem_.sampler.stepper.tableau;
    method_ = !options_.method.empty() ? &find_tableau(options_.method) : own != nullptr ? own : &find_tableau("euler");
  }

  Forward run() {
    Forward forward;
    std::vector<Tensor> states;
    const bool keeps = options_.source != StateSource::solved_back;
    forward.running = walk_forward(problem_, [&](int index, const State& state) {
      if (keeps || index == problem_.sampler.steps()) states.push_back(state.y);
    });
    forward.x_0 = problem_.sampler.x_at(problem_.sampler.steps(), {states.back(), {}});
    last_ = states.back();
    if (options_.source == StateSource::dense) dense_ = std::make_shared<DenseStates>(with_slopes(std::move(states)));
    if (options_.source == StateSource::restarted) stored_ = cached_states(problem_, grid_, std::move(states));
    return forward;
  }

  Pulled pull(const Tensor& a_0) {
    const int steps = static_cast<int>(grid_.size()) - 1;
    const Cotangent end = clean_end(problem_, a_0);
    Tensors state = joined(last_, end);
    const bool chosen = !method_->error.empty();
    if (chosen && !problem_.running && !problem_.sampler.p_of_step && options_.source != StateSource::restarted) {
      state = interval(steps, 0, state);
    } else {
      for (int i = steps; i > 0; --i) {
        state = interval(i, i - 1, state);
        const Tensor y = after_interval(i - 1, state);
        Cotangent a = split(state);
        add_running(problem_, i - 1, y, a);
        state = joined(y, a);
      }
    }
    Pulled back = pulled_from(problem_, split(state));
    if (!chosen) back.warning = stiffness_warning(options_.name, grid_);
    return back;
  }

 private:
  [[nodiscard]] bool carries_y() const { return options_.source != StateSource::dense; }
  [[nodiscard]] Tensors joined(const Tensor& y, const Cotangent& a) const {
    Tensors all;
    if (carries_y()) all.push_back(y);
    all.push_back(a.y);
    all.insert(all.end(), a.p.begin(), a.p.end());
    return all;
  }
  [[nodiscard]] Cotangent split(const Tensors& state) const {
    const std::ptrdiff_t at = carries_y() ? 1 : 0;
    return {state[static_cast<std::size_t>(at)], Tensors(state.begin() + at + 1, state.end())};
  }
  /// The state at the level an interval has come to.
  Tensor after_interval(int level, const Tensors& state) {
    if (options_.source == StateSource::restarted) return stored_(level);
    return carries_y() ? state[0] : dense_->at(grid_[static_cast<std::size_t>(level)].s());
  }

  /// From level `from` up to level `to`, in one step or as the error control sees fit.
  Tensors interval(int from, int to, const Tensors& state) {
    const Level &t = grid_[static_cast<std::size_t>(from)], &s = grid_[static_cast<std::size_t>(to)];
    const int index = step_at(problem_.sampler.grid, (t.s() + s.s()) / 2);
    const OdeField field = [this, index](double at, const Tensors& z) { return slope(index, at, z); };
    if (options_.source == StateSource::restarted && from == static_cast<int>(grid_.size()) - 1) stored_(from);
    const int steps = static_cast<int>(grid_.size()) - 1;
    Tensors next;
    try {
      next = method_->error.empty()
                 ? rk_step(*method_, field, t.s(), s.s(), state)
                 : rk_adaptive(*method_, field, t.s(), s.s(), state, options_.tolerance, carries_y() ? 2 : 1);
      pass(s.s());
    } catch (const Error& e) {
      fail("{}: step {} of {} back (t = {:.6g} to {:.6g}): {}", options_.name, steps - to, steps, t.t, s.t, e.what());
    }
    for (std::size_t k = 0; k < (carries_y() ? 2U : 1U); ++k)
      require_finite_step(options_.name, steps - to, steps, t, s, state[0], next[k]);
    return next;
  }

  /// Tells that the way back has come to s, also in the midst of an interval that is many steps of the sampler.
  void pass(double s) {
    const int steps = static_cast<int>(grid_.size()) - 1;
    while (passed_ < steps && grid_[static_cast<std::size_t>(steps - passed_ - 1)].s() <= s)
      report_back(problem_, ++passed_, steps);
  }

  /// {eps, -(d eps/dy)^T a, -(d eps/dp)^T a}, the first where the state carries y.
  Tensors slope(int index, double s, const Tensors& z) {
    pass(s);
    const Level at = level_at(problem_.sampler, s);
    Tensor eps;
    const Tensor y = carries_y() ? z[0] : dense_->at(s);
    Cotangent g = pull_field(problem_, &Denoiser::eps, index, at, y, z[carries_y() ? 1 : 0], &eps);
    Tensors all;
    if (carries_y()) all.push_back(eps);
    all.push_back(scale(g.y, -1));
    for (std::size_t j = 0; j < g.p.size(); ++j)
      all.push_back(problem_.wrt_p[j] && g.p[j].defined() ? scale(g.p[j], -1) : Tensor());
    return all;
  }

  /// Slopes are eps; at sigma = 0, where it may be undetermined, that of the last chord.
  [[nodiscard]] DenseStates with_slopes(std::vector<Tensor> states) const {
    const Sampler& sampler = problem_.sampler;
    const auto last = states.size() - 1;
    std::vector<Tensor> slopes;
    for (std::size_t i = 0; i <= last; ++i) {
      const Level& at = sampler.grid[i];
      const int index = static_cast<int>(i == last ? i - 1 : i);
      const double s = i > 0 ? sampler.grid[i - 1].s() : 0;
      slopes.push_back(at.sigma > 0 ? sampler.denoiser.eps(states[i], at, sampler.parameters(index, problem_.p))
                                    : lincomb(1 / s, states[i - 1], -1 / s, states[i]));
    }
    return {sampler.grid, std::move(states), std::move(slopes)};
  }

  Options options_;
  GradientProblem problem_;
  Grid grid_;
  const Tableau* method_ = nullptr;
  int passed_ = 0;  // levels, on the way back
  Tensor last_;
  std::shared_ptr<DenseStates> dense_;
  StatesBack stored_;
};

}  // namespace

std::vector<std::string> ode_adjoint_options() { return {"method", "rtol", "atol"}; }

Adjoint ode_adjoint(const std::string& name, StateSource source, const std::string& method, const Config& config) {
  const Options options{
      .name = name,
      .source = source,
      .method = config.text("method", method),
      .tolerance = {.relative = config.number("rtol", 1e-5), .absolute = config.number("atol", 1e-5)}};
  const bool chosen = !options.method.empty() && !find_tableau(options.method).error.empty();
  require(chosen || (!config.has("rtol") && !config.has("atol")),
          "adjoint {}: rtol and atol are for method = rk45 and tsit5, which choose their steps", name);
  require(options.tolerance.relative > 0 && options.tolerance.absolute > 0,
          "adjoint {}: rtol = {} and atol = {} should be positive", name, options.tolerance.relative,
          options.tolerance.absolute);
  return {.batching = chosen ? Batching::one_by_one : Batching::any,
          .forward = [options](const GradientProblem& problem) {
            const auto back = std::make_shared<OdeBack>(options, problem);
            Forward run = back->run();
            run.pull = [back](const Tensor& a_0) { return back->pull(a_0); };
            return run;
          }};
}

}  // namespace costate
