// The exact variance of what a linear sampler makes of Gaussian data.
#pragma once

#include "solvers/moments.h"
#include "tests/solvers/problems.h"

namespace costate {

/// Variance at the clean end of samples of N(0, 0.25), started with the true variance, on a lambda grid. `net` predicts
/// eps in place of the exact one.
inline double sampled_variance(const std::string& stepper, int steps, const std::string& options = "{}",
                               const Net& net = {}) {
  const auto problem = normal(0.25);
  Sampler sampler = sampler_of(problem, stepper, make_grid("lambda", *vp_linear(), steps), options, vp_linear());
  if (net) sampler.denoiser.net = net;
  const Level &first = sampler.grid.front(), &last = sampler.grid.back();
  const Moments end = sampled_moments(sampler, problem.p, {0, 0.25 + first.s() * first.s()});
  return last.alpha * last.alpha * end.variance;
}

}  // namespace costate
