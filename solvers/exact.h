// Denoisers in closed form: every solver is tested on these, without a network.
#pragma once

#include <functional>

#include "core/config.h"
#include "solvers/denoiser.h"

namespace costate {

/// A data distribution whose noisy score is known: eps = -sigma grad ln q_t(x), as an ordinary Net predicting epsilon.
/// Written with ops: differentiable in x and in p (see each problem for what its p are).
struct ExactProblem {
  Net net;
  std::int64_t dimension = 0;
  Tensors p;                         ///< the parameters' values, f64
  std::vector<std::string> p_names;  ///< for reports
};

/// family gaussian (mean, covariance), gaussian_mixture (weights, means, covariances), dirac_set (points, weights).
ExactProblem exact_problem(const Config& config);
std::vector<std::string> exact_families();

}  // namespace costate
