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
  Net mean;  ///< E[x_0 | x], at alpha = 0 too
  std::int64_t dimension = 0;
  Tensors p;                         ///< the parameters' values, f64
  std::vector<std::string> p_names;  ///< for reports

  /// The problem as a network that was trained for another prediction.
  [[nodiscard]] Net predicting(Prediction what, double sigma_data = 0.5) const;
};

/// By `family`:
///   gaussian           mean (d), covariance (d, d); p = {z}
///   gaussian_mixture   weights (k), means (k, d), covariances (k, d, d); p = {z, theta}
///   dirac_set          points (k, d), weights (k); p = {}
/// z (1, d) is added to every mean, theta (1) to the log-weight of component 0; both are 0 to begin with.
/// Weights need not sum to 1; without them all are equal.
ExactProblem exact_problem(const Config& config, Device device = Device::cpu);
std::vector<std::string> exact_families();

}  // namespace costate
