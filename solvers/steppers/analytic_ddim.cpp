// Analytic-DPM on DDIM's steps.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/analytic.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// y' = x_0 + r eps with r^2 = s'^2 - w^2, w DDIM's noise; as eps = (y - x_0) / s, x_0 enters with 1 - r / s.
State advance(const Covariance& covariance, double eta, const Step& step, const State& state) {
  const auto [down, up] = ancestral(step.from().s(), step.to().s(), eta);
  const auto found = find_all(step.denoiser, state.y, step.from(), step.p);
  const Tensor mean = lincomb(1, found.x_0, down, found.eps);
  return {add_optimal_noise(covariance, step, mean, found, up * up, 1 - down / step.from().s()), {}};
}

}  // namespace

StepperType analytic_ddim_stepper() {
  return {.name = "analytic-ddim",
          .summary =
              "DDIM with the optimal variance; covariance ms_eps, eps, sn or npr; data_variance for pure noise; eta is "
              "DDIM's own noise",
          .reference = "Bao et al. 2022, \"Analytic-DPM\", theorem 1; \"Estimating the optimal covariance\", theorem 2",
          .options = covariance_options({"eta"}),
          .make = [](const Config& options) {
            const double eta = eta_from(options, 0);
            return Stepper{.eta = 1,
                           .solves_sde = false,  // the optimal variance is of second order in the step
                           .leaves_pure_noise = true,
                           .advance = [c = covariance_from(options), eta](const Step& step, const State& state) {
                             return advance(c, eta, step, state);
                           }};
          }};
}

}  // namespace costate
