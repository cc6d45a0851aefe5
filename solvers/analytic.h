// Analytic-DPM: the covariance of x_0 that is left when x is known, and with it the best variance of a step.
#pragma once

#include "solvers/halves.h"
#include "solvers/stepper.h"

namespace costate {

/// Cov[x_0 | x], by option `covariance`:
///   ms_eps   s^2 (1 - E|eps|^2 / d), one number a level (Bao et al. 2022, "Analytic-DPM"): option `ms_eps` lists E|eps|^2 / d of the
///            grid's levels, or of all times of a discrete schedule
///   eps      s^2 (1 - eps^2), element by element, without any statistics
///   sn       s^2 (v - eps^2), of a network whose second half v is E[eps^2 | x]
///   npr      s^2 v, where v is E[(eps - eps(x))^2 | x]  (Bao et al. 2022, "Estimating the optimal covariance")
/// clipped to [0, `clip`]; 1 is right for data in [-1, 1]. At pure noise, which says nothing of x_0, it is Cov[x_0] itself,
/// and all four are infinity times 0 (s^2 (1 - E|eps|^2 / d) -> Cov[x_0] as s grows): option `data_variance`.
struct Covariance {
  enum class From { ms_eps, eps, sn, npr } from = From::eps;
  std::vector<double> ms_eps = {};
  double clip = 1;
  double data_variance = 0;  ///< of an element of x_0, for steps from pure noise; 0: not known
  double pixels = 0;  ///< the last noise that is drawn is of at most so many of 255 values, on average; 0: as it comes
};
std::vector<std::string> covariance_options(const std::vector<std::string>& more = {});
Covariance covariance_from(const Config& options);

/// The next state: mean + sqrt(variance + weight^2 Cov[x_0 | x]) z, where x_0 enters the mean with `weight`.
Tensor add_optimal_noise(const Covariance& covariance, const Step& step, const Tensor& mean, const Found& found,
                         double variance, double weight);

/// E|eps|^2 / d at the grid's levels but the last, over the data x_0 (n, ...) with seeded noise: what `ms_eps` wants.
std::vector<double> mean_square_eps(const Denoiser& denoiser, const Grid& grid, const Tensor& x_0, const Tensors& p,
                                    std::uint64_t seed);

}  // namespace costate
