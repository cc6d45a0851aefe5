// SA-Solver: stochastic Adams, predictor and corrector, with noise between two times only.
#include <algorithm>
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/multistep.h"

namespace costate {
namespace {

/// The SDE whose share of noise is tau: with x_0 a polynomial in lambda
///   y' = q^(1 + tau^2) y + sum_k c_k M_k + s' sqrt(1 - q^(2 tau^2)) z, q = s'/s,
/// where M_k are the moments of exponential.h for a clock s^(1 + tau^2); with eps one, y' = y + (1 + tau^2) sum_k c_k M_k
/// + tau sqrt(s^2 - s'^2) z. States are the predictor's; a step begins with the corrector of the one before, with its noise.
struct Sa {
  Form form;
  std::size_t predictor, corrector;
  double tau, from_t, to_t;
  bool lower_order_final;
  bool released;  // two values in data form: their slope has weight H / 2, not M_1

  [[nodiscard]] double tau_at(const Level& at) const { return at.t >= from_t && at.t <= to_t ? tau : 0; }

  [[nodiscard]] Weights weights(const Step& step, const std::vector<double>& nodes) const {
    const double power = 1 + std::pow(tau_at(step.from()), 2);
    const auto clock = [&](const Level& at) {
      return form == Form::data ? Level{at.t, 1, std::pow(at.s(), power)} : at;
    };
    const Level from = clock(step.from()), to = clock(step.to());
    Weights m = moments(form, from, to, step.to().s() == step.from().s() ? 1 : nodes.size());
    m.of.resize(nodes.size(), 0);
    if (form == Form::noise)
      for (double& w : m.of) w *= power;
    else if (released && nodes.size() == 2)
      m.of[1] = (to.lambda() - from.lambda()) / 2;
    return interpolate(m, nodes);
  }
  [[nodiscard]] Tensor with_noise(const Step& step, const Tensor& y, const Tensor& z) const {
    const double from = step.from().s(), to = step.to().s(), t = tau_at(step.from());
    if (t == 0 || from == to) return y;
    const double up = form == Form::noise ? t * std::sqrt((from - to) * (from + to))
                                          : to * std::sqrt(-std::expm1(2 * t * t * std::log(to / from)));
    return up == 0 ? y : lincomb(1, y, up, z);
  }
  [[nodiscard]] std::size_t left(const Step& step) const {
    return step.grid.size() - 1 - static_cast<std::size_t>(step.index);
  }

  /// In data form with x_0 held: q = 0, and the noise of level s' is fresh if tau > 0 there, else eps, which is y itself.
  [[nodiscard]] State leave_pure_noise(const Step& step, const Tensor& y) const {
    const Tensor z = tau == 0 ? y : step.normal(y);
    return {lincomb(1, step.denoiser.x0(y, step.from(), step.p), step.to().s(), tau_at(step.from()) > 0 ? z : y), {}};
  }

  /// Memory: the corrected state at the level before, the noise of the step from there, values.
  [[nodiscard]] State advance(const Step& step, const State& state) const {
    if (step.from().alpha == 0) return leave_pure_noise(step, state.y);
    const Tensor newest = field(form, step, state.y, step.from());
    Tensor y = state.y;
    Tensors values;
    if (!state.memory.empty()) {
      const Step before{step.denoiser, step.p, step.grid, step.index - 1, step.noise, step.schedule};
      values.assign(state.memory.begin() + 2, state.memory.end());
      std::size_t order = std::min(corrector, values.size() + 1);
      if (lower_order_final) order = std::min(order, left(before) + 1);
      std::vector<double> nodes = nodes_in_lambda(before, order - 1);
      nodes.insert(nodes.begin(), 1);
      Tensors used{newest};
      used.insert(used.end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(order) - 1);
      y = with_noise(before, combine(weights(before, nodes), state.memory[0], used), state.memory[1]);
    }
    values = remember(newest, values, std::max(predictor, corrector - 1));
    std::size_t order = std::min(predictor, values.size());
    if (lower_order_final) order = std::min(order, left(step));
    if (step.to().s() == 0) order = 1;
    const Tensor z = tau == 0 ? y : step.normal(y);  // also where it goes unused: draws are one a step
    const bool idle = step.to().s() == step.from().s();
    const Weights w = idle ? Weights{1, {0}} : weights(step, nodes_in_lambda(step, order));
    Tensors memory{y, z};
    memory.insert(memory.end(), values.begin(), values.end());
    return {with_noise(step, combine(w, y, values), z), memory};
  }
};

Stepper make(const Config& options) {
  const Sa sa{.form = form_from(options, Form::data),
              .predictor = static_cast<std::size_t>(options.integer("predictor", 2)),
              .corrector = static_cast<std::size_t>(options.integer("corrector", 2)),
              .tau = options.number("tau", 1),
              .from_t = options.number("t_from", -INFINITY),
              .to_t = options.number("t_to", INFINITY),
              .lower_order_final = options.flag("lower_order_final", false),
              .released = options.choice("weights", "published", {"published", "exact"}) == "published"};
  for (const std::size_t order : {sa.predictor, sa.corrector})
    require(order >= 1 && order <= 4, "sa: predictor and corrector are orders from 1 to 4, not {}", order);
  require(sa.tau >= 0 && sa.tau <= 1, "sa: tau = {} should be between 0 and 1", sa.tau);
  return {.order = 1, .eta = sa.tau, .leaves_pure_noise = true, .advance = [sa](const Step& step, const State& state) {
            return sa.advance(step, state);
          }};
}

}  // namespace

StepperType sa_stepper() {
  return {
      .name = "sa",
      .summary = "SA-Solver: stochastic Adams predictor and corrector; tau is the share of noise from t_to to t_from",
      .reference = "Xue et al. 2023, \"SA-Solver\", algorithm 1",
      .options = {"form", "predictor", "corrector", "tau", "t_from", "t_to", "lower_order_final", "weights"},
      .make = make};
}

}  // namespace costate
