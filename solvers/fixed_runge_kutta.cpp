// A Runge-Kutta method in the clock s as a stepper.
#include "solvers/fixed_runge_kutta.h"

#include <cmath>

#include "autodiff/ops/add.h"

namespace costate {
namespace {

State advance(const Tableau& method, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  if (to.s() == 0) return {lincomb(1, state.y, -from.s(), step.denoiser.eps(state.y, from, step.p)), {}};
  const auto field = [&](double s, const Tensors& y) {
    const Level at = s == from.s() ? from : s == to.s() ? to : step.at_lambda(-std::log(s));
    return Tensors{step.denoiser.eps(y[0], at, step.p)};
  };
  return {rk_step(method, field, from.s(), to.s(), {state.y})[0], {}};
}

}  // namespace

Stepper fixed_runge_kutta(const Tableau& method) {
  return {.name = method.name,
          .order = method.order,
          .evaluations = method.stages(),
          .advance = [&method](const Step& step, const State& state) { return advance(method, step, state); },
          .tableau = &method};
}

}  // namespace costate
