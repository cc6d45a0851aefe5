// Samplers that are one explicit Runge-Kutta step for dy/ds = eps at a time.
#pragma once

#include "solvers/stepper.h"

namespace costate {

/// `method` in the clock s; to s = 0, where the network is not evaluated, Euler's. Stages between the grid's levels are the
/// schedule's.
Stepper fixed_runge_kutta(const Tableau& method);

}  // namespace costate
