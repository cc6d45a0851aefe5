// Euler's method in the clock s = sigma / alpha, or in t.
#include "solvers/heun.h"

namespace costate {

StepperType euler_stepper() {
  return {.name = "euler",
          .summary = "Euler in sigma / alpha: DDIM with eta = 0; clock = t steps the equation in t",
          .reference = "Karras et al. 2022, algorithm 1 without the correction",
          .options = {"clock"},
          .make = [](const Config& options) {
            const Heun method{.clock = clock_from(options), .correct = false};
            return Stepper{.order = 1,
                           .evaluations = 1,
                           .leaves_pure_noise = method.clock == Clock::flow,
                           .advance = [method](const Step& step, const State& state) -> State {
                             return {heun_step(method, step, state.y, step.from(), step.to()), {}};
                           },
                           .tableau = method.clock == Clock::s ? &find_tableau("euler") : nullptr};
          }};
}

}  // namespace costate
