// Heun's method in the clock s = sigma / alpha, or in t; the step to s = 0, where the network is not evaluated, is Euler's.
#include "solvers/heun.h"

namespace costate {

StepperType heun_stepper() {
  return {.name = "heun",
          .summary = "Heun (trapezium) in sigma / alpha; clock = t and alpha are EDM's general form",
          .reference = "Karras et al. 2022, algorithms 1 and 3",
          .options = {"clock", "alpha"},
          .make = [](const Config& options) {
            const Heun method{.clock = clock_from(options), .alpha = options.number("alpha", 1)};
            require(method.alpha > 0 && method.alpha <= 1, "heun: alpha = {} should be in (0, 1]", method.alpha);
            const bool plain = method.clock == Clock::s && method.alpha == 1;
            return Stepper{.order = 2,
                           .evaluations = 2,
                           .leaves_pure_noise = method.clock == Clock::flow,
                           .advance = [method](const Step& step, const State& state) -> State {
                             return {heun_step(method, step, state.y, step.from(), step.to()), {}};
                           },
                           .tableau = plain ? &find_tableau("heun") : nullptr};
          }};
}

}  // namespace costate
