// Singlestep DPM-Solver whose inner stages are levels of the grid: one evaluation and one state a level, as diffusers has it.
#include <algorithm>

#include "autodiff/ops/add.h"
#include "solvers/multistep.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

struct Stages {
  Form form;
  int order;
  bool exact;     // the polynomial through all values of a group, where the paper takes less
  bool inner;     // ... at the second of three levels, too
  bool released;  // diffusers' sign of the last term of SDE steps
  bool lower_order_final, noisy;

  /// Levels go in groups of `order`, the last of which may be shorter; with lower_order_final it is: its last step is of
  /// order 1, as any step to s = 0.
  [[nodiscard]] int order_of(const Step& step, int index) const {
    const int steps = static_cast<int>(step.grid.size()) - 1;
    if (index == steps - 1 && (step.grid.back().s() == 0 || (lower_order_final && steps % order == 0))) return 1;
    return index % order + 1;
  }

  /// Weights of the group's values, its first level's first, at nodes u of the step from there.
  [[nodiscard]] Weights weights(const Level& from, const Level& to, const std::vector<double>& nodes, bool all) const {
    const std::size_t n = nodes.size();
    // With the reverse SDE's noise the weights are those of s^2: all of it doubles lambda.
    const auto clock = [this](const Level& at) { return noisy ? Level{at.t, 1, at.s() * at.s()} : at; };
    Weights m = moments(form, clock(from), clock(to), n == 2 && !all ? 1 : n);
    if (n == 1) return m;
    if (n == 2 && !all) m.of.push_back(m.of[0] / 2);
    if (n == 3 && !all) {  // as published, the middle value serves its own step alone
      m.of.resize(2);
      const Weights w = interpolate(m, {0, nodes[2]});
      return {w.keep, {w.of[0], 0, w.of[1]}};
    }
    if (n == 3 && noisy && released) m.of[2] -= 2;
    return interpolate(m, nodes);
  }

  /// Memory: y at the group's first level, then the values since.
  [[nodiscard]] State advance(const Step& step, const State& state) const {
    const int asked = order_of(step, step.index);
    const bool first = asked == 1 || state.memory.empty();
    const Tensor base = first ? state.y : state.memory[0];
    Tensors values;
    if (!first) values.assign(state.memory.begin() + 1, state.memory.end());
    values.push_back(field(form, step, state.y, step.from()));
    const int back = static_cast<int>(values.size()) - 1;
    const Step whole{step.denoiser, step.p, step.grid, step.index - back, step.noise, step.schedule};
    const Level &from = whole.from(), &to = step.to();
    std::vector<double> nodes{0};
    for (int k = 1; k <= back; ++k)
      nodes.push_back((step.back(static_cast<std::size_t>(back - k)).lambda() - from.lambda()) /
                      (to.lambda() - from.lambda()));
    const bool is_inner =
        back == 1 && step.index + 2 < static_cast<int>(step.grid.size()) && order_of(step, step.index + 1) == 3;
    Tensor y = combine(weights(from, to, nodes, is_inner ? inner : exact), base, values);
    if (const double up = noisy ? data_step(from, to, 1).up : 0; up > 0)
      y = lincomb(1, y, up, whole.normal_to(to.s(), y, back));
    Tensors memory{base};
    memory.insert(memory.end(), values.begin(), values.end());
    return {y, memory};
  }
};

Stepper make(const Config& options) {
  const Stages stages{.form = form_from(options, Form::data),
                      .order = static_cast<int>(options.integer("order", 2)),
                      .exact = options.choice("weights", "published", {"published", "exact"}) == "exact",
                      .inner = options.choice("inner", "exact", {"published", "exact"}) == "exact",
                      .released = options.choice("third_term", "exact", {"exact", "diffusers"}) == "diffusers",
                      .lower_order_final = options.flag("lower_order_final", false),
                      .noisy = eta_from(options, 0) > 0};
  require(!stages.noisy || eta_from(options) == 1, "dpm-stages: eta should be 0 or 1");
  require(!stages.noisy || stages.form == Form::data, "dpm-stages: form = noise is for eta = 0");
  return {.order = 1,  // the states between the groups' ends are of low order
          .eta = stages.noisy ? 1.0 : 0.0,
          .advance = [stages](const Step& step, const State& state) { return stages.advance(step, state); }};
}

}  // namespace

StepperType dpm_stages_stepper() {
  return {.name = "dpm-stages",
          .summary = "singlestep DPM-Solver with the grid's levels as its inner stages, one evaluation a level",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", algorithm 1; diffusers, DPMSolverSinglestepScheduler",
          .options = {"form", "weights", "inner", "third_term", "lower_order_final", "eta"},
          .orders = {1, 2, 3},
          .make = make};
}

}  // namespace costate
