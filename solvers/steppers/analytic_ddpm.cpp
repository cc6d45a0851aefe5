// Analytic-DPM on DDPM's steps: the posterior's mean, and the variance that is best for it.
#include "autodiff/ops/add.h"
#include "solvers/analytic.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// x_0 enters y' = q y + (1 - q) x_0, q = (s' / s)^2, with 1 - q; the posterior's own variance is s'^2 (1 - q).
State advance(const Covariance& covariance, const Step& step, const State& state) {
  const DataStep d = data_step(step.from(), step.to(), 1);
  const auto found = find_all(step.denoiser, state.y, step.from(), step.p);
  const Tensor mean = lincomb(d.keep, state.y, 1 - d.keep, found.x_0);
  return {add_optimal_noise(covariance, step, mean, found, d.up * d.up, 1 - d.keep), {}};
}

}  // namespace

StepperType analytic_ddpm_stepper() {
  return {.name = "analytic-ddpm",
          .summary = "DDPM with the optimal variance; covariance ms_eps, eps, sn or npr; data_variance for pure noise",
          .reference = "Bao et al. 2022, \"Analytic-DPM\", theorem 1; \"Estimating the optimal covariance\", theorem 2",
          .options = covariance_options(),
          .make = [](const Config& options) {
            return Stepper{.eta = 1,
                           .leaves_pure_noise = true,
                           .advance = [c = covariance_from(options)](const Step& step, const State& state) {
                             return advance(c, step, state);
                           }};
          }};
}

}  // namespace costate
