// UniPC: a predictor of order p and a corrector that shares the next step's evaluation (order p + 1).
#include <algorithm>
#include <optional>

#include "solvers/multistep.h"
#include "solvers/quadrature.h"

namespace costate {
namespace {

/// The coefficients rho of the paper solve R(p) rho = b(p) / B(h). Multiplied out, B(h) drops out: UniP-p and UniC-p
/// integrate the polynomial through the last p values, and for UniC the new one. B(h) is left where the paper replaces
/// the solution by 1/2, with a single difference: weight B(h) / 2 for M_1 (bh1: B = h, bh2: B = e^h - 1, and -h for h in
/// data form). `vary_coeff` is exact there too.
struct UniPc {
  Form form;
  std::size_t order;
  enum { bh1, bh2, vary_coeff, vary_coeff_released } variant;
  enum { every, but_last, none } corrector;
  std::vector<std::int64_t> disabled;  // steps without corrector
  bool lower_order_final;
  std::optional<Stepper> starter;  ///< of the first steps, while values are missing

  [[nodiscard]] Weights weights(const Step& step, const std::vector<double>& nodes) const {
    Weights w = moments(form, step.from(), step.to(), nodes.size());
    if (nodes.size() == 2 && variant == bh2) w.of[1] = w.of[0] / 2;
    if (nodes.size() == 2 && variant == bh1) {
      const double h = step.to().lambda() - step.from().lambda();
      w.of[1] = (form == Form::data ? h : -h * step.to().s()) / 2;
    }
    return interpolate(w, nodes);
  }

  /// The corrector of variant vary_coeff as the authors' code has it, for `--compat`: the new difference enters through
  /// the last row but one of the inverse and the last moment alone. Order 1.
  [[nodiscard]] Weights released_corrector(const Step& step, const std::vector<double>& nodes) const {
    const std::size_t k = nodes.size() - 1;  // differences, the newest last
    const Weights m = moments(form, step.from(), step.to(), k + 1);
    const std::vector<double> at(nodes.begin() + 1, nodes.end());
    Weights w{m.keep, {m.of[0]}};
    for (std::size_t j = 0; j < k; ++j) {
      const auto c = lagrange_coefficients(at, j);
      double sum = 0;
      for (std::size_t i = 0; i + 1 < k; ++i) sum += m.of[i + 1] * c[i];
      if (j + 1 == k) sum = m.of[k] / static_cast<double>(k) * c[k - 2];
      w.of.push_back(sum / at[j]);
      w.of[0] -= sum / at[j];
    }
    return w;
  }

  /// How many values the step combines.
  [[nodiscard]] std::size_t count(const Step& step, std::size_t known) const {
    const std::size_t left = step.grid.size() - 1 - static_cast<std::size_t>(step.index), all = std::min(known, order);
    return lower_order_final && known >= order ? std::min(all, left) : all;
  }
  [[nodiscard]] bool corrects(const Step& step) const {
    const bool last = static_cast<std::size_t>(step.index) + 2 == step.grid.size();
    return corrector != none && !(last && corrector == but_last) && step.to().s() > 0 &&
           std::find(disabled.begin(), disabled.end(), step.index) == disabled.end();
  }
  [[nodiscard]] Tensor predict(const Step& step, const Tensor& y, const Tensors& values) const {
    if (step.to().s() == step.from().s()) return y;
    if (step.to().s() == 0) return combine(moments(form, step.from(), step.to(), 1), y, values);
    return combine(weights(step, nodes_in_lambda(step, count(step, values.size()))), y, values);
  }
  [[nodiscard]] Tensor correct(const Step& step, const Tensor& y, Tensors values, const Tensor& newest) const {
    values.resize(count(step, values.size()));
    std::vector<double> nodes = nodes_in_lambda(step, values.size());
    nodes.push_back(1);
    values.push_back(newest);
    const bool released = variant == vary_coeff_released && values.size() > 2;
    return combine(released ? released_corrector(step, nodes) : weights(step, nodes), y, values);
  }

  /// A step ends with the corrector, which evaluates where the next step begins.
  [[nodiscard]] State advance(const Step& step, const State& state) const {
    Tensors values = state.memory;
    if (values.empty()) values.push_back(field(form, step, state.y, step.from()));
    const bool last = static_cast<std::size_t>(step.index) + 2 == step.grid.size();
    if (starter && values.size() < order && step.to().s() > 0) {
      const Tensor y = starter->advance(step, {state.y, {}}).y;
      return {y, last ? Tensors() : remember(field(form, step, y, step.to()), values, order)};
    }
    const Tensor predicted = predict(step, state.y, values);
    if (step.to().s() == 0 || (last && !corrects(step))) return {predicted, {}};
    const Tensor newest = field(form, step, predicted, step.to());
    return {corrects(step) ? correct(step, state.y, values, newest) : predicted, remember(newest, values, order)};
  }

  /// A step begins with the corrector of the one before, so that states are what the predictor says. Memory: the corrected
  /// state at the level before, then values.
  [[nodiscard]] State advance_late(const Step& step, const State& state) const {
    const Tensor newest = field(form, step, state.y, step.from());
    Tensors values = state.memory;
    Tensor y = state.y;
    if (!values.empty()) {
      const Step before{step.denoiser, step.p, step.grid, step.index - 1, step.noise, step.schedule};
      const Tensor y_before = values.front();
      values.erase(values.begin());
      if (corrects(before)) y = correct(before, y_before, values, newest);
    }
    values = remember(newest, values, order);
    Tensors memory{y};
    memory.insert(memory.end(), values.begin(), values.end());
    return {predict(step, y, values), memory};
  }
};

Stepper make(const Config& options) {
  const auto choose = [&](const char* key, const char* otherwise, const std::vector<std::string>& choices) {
    const std::string chosen = options.choice(key, otherwise, choices);
    return std::find(choices.begin(), choices.end(), chosen) - choices.begin();
  };
  const auto order = static_cast<int>(options.integer("order", 2));
  const std::string starter = options.text("starter", "");
  const UniPc method{
      .form = form_from(options, Form::data),
      .order = static_cast<std::size_t>(order),
      .variant = static_cast<decltype(UniPc::variant)>(
          choose("variant", "bh2", {"bh1", "bh2", "vary_coeff", "vary_coeff_released"})),
      .corrector = static_cast<decltype(UniPc::corrector)>(choose("corrector", "every", {"every", "but_last", "none"})),
      .disabled = options.integers("disable_corrector"),
      .lower_order_final = options.flag("lower_order_final", false),
      .starter = starter.empty() ? std::nullopt : std::optional(make_stepper(starter))};
  const bool late = options.choice("states", "corrected", {"corrected", "predicted"}) == "predicted";
  require(!late || !method.starter, "unipc: starter goes with states = corrected");
  // A corrector of order 1 in the first step leaves order 3. That of the corrected third shows beyond 1000 steps only, where the
  // start is as good as exact (tests/solvers/test_steppers.cpp).
  const int start = method.starter ? method.starter->order + 1 : 2;
  return {.order = method.corrector == UniPc::every ? std::min(order + 1, 3) : std::min(order, start),
          .evaluations = 1,
          .advance = [method, late](const Step& step, const State& state) {
            return late ? method.advance_late(step, state) : method.advance(step, state);
          }};
}

}  // namespace

StepperType unipc_stepper() {
  return {.name = "unipc",
          .summary = "UniPC-p; corrector = none is UniP, but_last and lower_order_final are the authors' defaults",
          .reference = "Zhao et al. 2023, \"UniPC\", algorithms 5 to 8",
          .options = {"form", "variant", "corrector", "disable_corrector", "lower_order_final", "starter", "states"},
          .orders = {1, 2, 3},
          .make = make};
}

}  // namespace costate
