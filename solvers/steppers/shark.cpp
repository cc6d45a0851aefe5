// ShARK: the reverse SDE to strong order 1.5.
#include "solvers/shark.h"

#include "autodiff/ops/add.h"

namespace costate {
namespace {

State advance(const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  if (to.s() == 0) return {step.denoiser.x0(state.y, from, step.p), {}};
  const Tensor gain = shark(step, from, to, state.y, path_in_rho(step, state.y));
  const double s = to.s(), q = s / from.s();
  return {lincomb(q * q, state.y, s * s, gain), {}};
}

}  // namespace

StepperType shark_stepper() {
  return {.name = "shark",
          .summary = "ShARK: data form, strong order 1.5; draws space-time Levy areas",
          .reference = "Foster, dos Reis and Strange 2023, (6.1); here in 1 / s^2",
          .options = {},
          .make = [](const Config&) { return Stepper{.order = 1, .evaluations = 2, .eta = 1, .advance = advance}; }};
}

}  // namespace costate
