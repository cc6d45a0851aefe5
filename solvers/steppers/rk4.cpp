// The classical Runge-Kutta method in the clock s; with its middle at the mean t, PNDM's pseudo Runge-Kutta.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/stepper.h"

namespace costate {
namespace {

/// dy/ds = eps. With `middle: t` the two middle stages lie at (t + t') / 2 and the weights stay: order 2, not 4.
State advance(bool middle_in_t, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  const auto slope = [&](const Tensor& y, const Level& at) { return step.denoiser.eps(y, at, step.p); };
  const Tensor k1 = slope(state.y, from);
  const double ds = to.s() - from.s();
  if (to.s() == 0) return {lincomb(1, state.y, ds, k1), {}};
  const Level middle =
      middle_in_t ? step.at_t((from.t + to.t) / 2) : step.at_lambda(-std::log((from.s() + to.s()) / 2));
  const double half = middle.s() - from.s();
  const Tensor k2 = slope(lincomb(1, state.y, half, k1), middle);
  const Tensor k3 = slope(lincomb(1, state.y, half, k2), middle);
  const Tensor k4 = slope(lincomb(1, state.y, ds, k3), to);
  return {lincomb(1, lincomb(1, state.y, ds / 6, add(k1, k4)), ds / 3, add(k2, k3)), {}};
}

}  // namespace

StepperType rk4_stepper() {
  return {.name = "rk4",
          .summary = "classical Runge-Kutta in sigma / alpha; middle = t is PNDM's pseudo Runge-Kutta",
          .reference = "Kutta 1901; Liu et al. 2022, \"PNDM\", (13)",
          .options = {"middle"},
          .make = [](const Config& options) {
            const bool middle_in_t = options.choice("middle", "s", {"s", "t"}) == "t";
            return Stepper{.order = middle_in_t ? 2 : 4,
                           .evaluations = 4,
                           .advance = [middle_in_t](const Step& step, const State& state) {
                             return advance(middle_in_t, step, state);
                           }};
          }};
}

}  // namespace costate
