// What samplers make of Gaussian data on the line, exactly: there every step is an affine map of the state, so the mean and
// the variance of its samples follow from a recursion, without drawing any.
#pragma once

#include "solvers/sampler.h"

namespace costate {

struct Moments {
  double mean = 0, variance = 0;
};

/// Mean and variance of the canonical state at the last level, from those at the first. The denoiser's data are one
/// Gaussian on the line; the sampler's own noise is not asked. Throws, naming the sampler, where a step is not affine in
/// state and noise, or draws more than three times.
Moments sampled_moments(const Sampler& sampler, const Tensors& p, Moments first);

/// Whether every step draws one increment of a Brownian path (and its area, perhaps): not two, and not none, as the last
/// step of some singlestep methods, which costs them half a strong order.
bool follows_one_path(const Sampler& sampler, const Tensors& p);

/// Root mean square distance at the last level of two samplers that start from one state and follow one Brownian path.
/// The grid of `fine` has two steps for each of `coarse`. Throws for methods that draw two increments a step.
double strong_distance(const Sampler& coarse, const Sampler& fine, const Tensors& p, double first_variance);

}  // namespace costate
