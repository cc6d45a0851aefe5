// Heun's method in the clock s = sigma / alpha; the step to s = 0, where the network is not evaluated, is Euler's.
#include "autodiff/ops/add.h"
#include "solvers/stepper.h"

namespace costate {
namespace {

State advance(const Step& step, const State& state) {
  const double ds = step.to().s() - step.from().s();
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  const Tensor euler = lincomb(1, state.y, ds, eps);
  if (step.to().s() == 0) return {euler, {}};
  return {lincomb(1, state.y, ds / 2, add(eps, step.denoiser.eps(euler, step.to(), step.p))), {}};
}

}  // namespace

StepperType heun_stepper() {
  return {.name = "heun",
          .summary = "Heun (trapezium) in sigma / alpha",
          .reference = "Karras et al. 2022, algorithm 1",
          .options = {},
          .make = [](const Config&) {
            return Stepper{.order = 2, .evaluations = 2, .advance = advance, .tableau = &find_tableau("heun")};
          }};
}

}  // namespace costate
