// Two-step reversible steppers: advance, and solve the same line for the oldest state.
#include "solvers/reversible.h"

#include "autodiff/ops/add.h"

namespace costate {
namespace {

/// Nothing canonical lies before this step: it is the first, or follows the one from pure noise.
bool is_first(const Step& step) {
  return step.index == 0 || step.grid[static_cast<std::size_t>(step.index) - 1].alpha == 0;
}

double ds_of(const Step& step) { return step.to().s() - step.from().s(); }

State advance(const TwoStep& c, const Step& step, const State& state) {
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  return {lincomb(1, lincomb(c.before, state.memory.at(0), c.now, state.y), c.eps, eps), {state.y}};
}

State advance_first(const Step& step, const State& state) {
  if (!state.memory.empty()) return {state.memory[0], {state.y}};  // an inverted state
  return {lincomb(1, state.y, ds_of(step), step.denoiser.eps(state.y, step.from(), step.p)), {state.y}};
}

State invert(const TwoStep& c, const Step& step, const State& next) {
  const Tensor& y = next.memory.at(0);
  const Tensor eps = step.denoiser.eps(y, step.from(), step.p);
  const Tensor rest = lincomb(1, next.y, -c.eps, eps);
  return {y, {lincomb(1 / c.before, rest, -c.now / c.before, y)}};
}

}  // namespace

Stepper two_step_reversible(int order, std::function<TwoStep(const Step&)> coefficients) {
  return {.order = order,
          .advance =
              [coefficients](const Step& step, const State& state) {
                return is_first(step) ? advance_first(step, state) : advance(coefficients(step), step, state);
              },
          .invert =
              [coefficients](const Step& step, const State& next) {
                return is_first(step) ? State{next.memory.at(0), {next.y}} : invert(coefficients(step), step, next);
              },
          .arrive =
              [](const Step& step, const Tensor& y) {
                return State{y, {lincomb(1, y, -ds_of(step), step.denoiser.eps(y, step.from(), step.p))}};
              }};
}

}  // namespace costate
