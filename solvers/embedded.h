// Embedded Runge-Kutta methods as samplers with adaptive steps.
#pragma once

#include "solvers/adaptive.h"
#include "solvers/runge_kutta.h"

namespace costate {

/// dy/dlambda = -s eps by a method with an error estimate. Its steps end at the levels of the grid; with
/// the option `dense` they do not, and states there are interpolated to order 4.
Stepper embedded(const Tableau& tableau, const Config& options);

}  // namespace costate
