// What the two-step reversible steppers share: a step that is linear in the two latest states, and its inverse.
#pragma once

#include <functional>

#include "solvers/stepper.h"

namespace costate {

/// y' = before y_before + now y + eps eps(y), in the canonical state.
struct TwoStep {
  double before, now, eps;
};

/// The stepper of these coefficients (evaluated for steps that have a step before them). A State's memory is the state
/// one level before; the first step is Euler's. At the first level an inverted state remembers y_1 instead, so that
/// advancing it gives back the very pair that was inverted.
Stepper two_step_reversible(int order, std::function<TwoStep(const Step&)> coefficients);

}  // namespace costate
