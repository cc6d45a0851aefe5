// Observed orders of solvers on exact problems: errors at growing step counts, and the slope down to round-off.
#pragma once

#include <string>
#include <vector>

#include "solvers/exact.h"
#include "solvers/moments.h"

namespace costate {

/// One run and its error; `used`: the slope is fitted to it.
struct Measurement {
  double steps = 0, evaluations = 0, error = 0;
  bool used = false;
};

struct Convergence {
  std::vector<Measurement> runs;
  double slope =
      0;         ///< of -ln error in ln steps (ln evaluations of a method that chooses its steps); NaN: not measured
  int used = 0;  ///< how many runs it is the least-squares fit of; fewer than three measure nothing
};

/// What all runs of a measurement share.
struct Setting {
  ExactProblem problem;
  SchedulePtr schedule;
  Prediction prediction = Prediction::epsilon;
  bool uniform_in_t = false;  ///< grids are uniform in lambda otherwise
};

/// A stretch of the probability-flow ODE with its solution known to round-off: canonical states y at s_from and s_to.
struct Flow {
  double s_from = 0, s_to = 0;
  Tensor from, to;  // (n, d)
};

/// Solves dy/ds = eps by an adaptive method of order 5 in lambda.
Flow solve_flow(const ExactProblem& problem, const Tensor& y, double s_from, double s_to);

/// The largest error at the end of a flow, on grids with `first`, 2 `first` ... `last` steps, until two
/// errors are below round-off.
Convergence converge(const Setting& setting, const Flow& flow, const Stepper& stepper, int first, int last);
/// The same for a method that chooses its steps, against evaluations: rtol = atol = 1e-3, 1e-4 ... 1e-10.
Convergence converge_adaptive(const Setting& setting, const Flow& flow, const std::string& sampler,
                              const Config& options);

/// Stochastic methods, whose data are N(mean, variance) on the line. Weak: errors of the samples' mean and variance,
/// together. Strong: root mean square distance of runs with N and 2 N steps along one Brownian path.
Convergence converge_weakly(const Setting& setting, Moments data, double s_from, double s_to, const Stepper& stepper,
                            int first, int last);
Convergence converge_strongly(const Setting& setting, Moments data, double s_from, double s_to, const Stepper& stepper,
                              int first, int last);

}  // namespace costate
