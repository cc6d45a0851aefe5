// One- and two-stage steps in the clock s, in t as EDM's general sampler takes them, or in flow matching's time.
#pragma once

#include "solvers/stepper.h"

namespace costate {

/// What a step is taken in, and the slope it takes:
///   s      sigma / alpha: dy/ds = eps
///   t      dx/dt
///   flow   tau = sigma / (alpha + sigma): z = x / (alpha + sigma) has dz/dtau = eps - x_0, at pure noise as anywhere
enum class Clock { s, t, flow };
/// Option `clock`: s, t or flow.
Clock clock_from(const Config& options);

/// Euler's step and the second-order correction of Karras et al. 2022, algorithm 3.
struct Heun {
  Clock clock = Clock::s;
  double alpha = 1;     ///< where the second slope is taken: 1 is Heun, 1/2 the midpoint
  bool correct = true;  ///< false: Euler
};
/// y at `to` from y at `from`; a step to s = 0 is Euler's.
Tensor heun_step(const Heun& method, const Step& step, const Tensor& y, const Level& from, const Level& to);

}  // namespace costate
