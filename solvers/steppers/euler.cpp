// Euler's method in the clock s = sigma / alpha.
#include "autodiff/ops/add.h"
#include "solvers/stepper.h"

namespace costate {
namespace {

/// dy/ds = eps
State advance(const Step& step, const State& state) {
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  return {lincomb(1, state.y, step.to().s() - step.from().s(), eps), {}};
}

}  // namespace

StepperType euler_stepper() {
  return {.name = "euler",
          .summary = "Euler in sigma / alpha; the same map as DDIM with eta = 0",
          .reference = "Karras et al. 2022, algorithm 1 without the correction",
          .options = {},
          .make = [](const Config&) {
            return Stepper{.order = 1, .evaluations = 1, .advance = advance, .tableau = &find_tableau("euler")};
          }};
}

}  // namespace costate
