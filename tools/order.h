// Observed orders of solvers on exact problems: errors at growing step counts, and the slope down to round-off.
#pragma once

#include <string>
#include <vector>

#include "solvers/exact.h"
#include "solvers/sampler.h"

namespace costate {

/// A stretch of the probability-flow ODE with its solution known to round-off: canonical states y at s_from and s_to.
struct Flow {
  double s_from = 0, s_to = 0;
  Tensor from, to;  // (n, d)
};

/// Solves dy/ds = eps by RK4 in lambda.
Flow solve_flow(const ExactProblem& problem, const Tensor& y, double s_from, double s_to);

struct Convergence {
  std::vector<double> steps, evaluations, errors;  ///< one entry a step count; errors are largest absolute ones
  double slope = 0;  ///< of -ln error in ln steps, by least squares over errors above round-off
  int used = 0;      ///< how many errors that were
};

/// Runs the stepper on grids uniform in lambda with `first`, 2 `first` ... `last` steps, and stops at round-off.
Convergence converge(const ExactProblem& problem, const Flow& flow, const SchedulePtr& schedule, Prediction prediction,
                     const Stepper& stepper, int first, int last);

}  // namespace costate
