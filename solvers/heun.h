// One- and two-stage steps in the clock s, or in t as EDM's general sampler takes them.
#pragma once

#include "solvers/stepper.h"

namespace costate {

/// Euler's step and the second-order correction of Karras et al. 2022, algorithm 3.
struct Heun {
  bool in_t = false;    ///< slopes are dx/dt in place of dy/ds
  double alpha = 1;     ///< where the second slope is taken: 1 is Heun, 1/2 the midpoint
  bool correct = true;  ///< false: Euler
};
/// y at `to` from y at `from`; a step to s = 0 is Euler's.
Tensor heun_step(const Heun& method, const Step& step, const Tensor& y, const Level& from, const Level& to);
/// Option `clock`: s or t.
bool clock_is_t(const Config& options);

}  // namespace costate
