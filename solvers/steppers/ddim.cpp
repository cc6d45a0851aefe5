// DDIM with its share of noise eta: 0 is the probability-flow ODE, 1 is DDPM with the small variance.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/stepper.h"

namespace costate {
namespace {

/// Published: x' = alpha' x_0 + sqrt(sigma'^2 - v) eps + sqrt(v) z with v = eta^2 beta~, (alpha, sigma) before and
/// (alpha', sigma') after the step. On every linear schedule v / alpha'^2 = eta^2 s'^2 (1 - s'^2 / s^2) = w^2, and x_0 = y - s eps,
/// so
///   y' = y + (sqrt(s'^2 - w^2) - s) eps + w z.
State advance(double eta, const Step& step, const State& state) {
  const double from = step.from().s(), to = step.to().s();
  const double w = eta == 0 ? 0 : eta * to * std::sqrt((1 - to / from) * (1 + to / from));  // upwards only eta = 0
  const double down = w == 0 ? to : std::sqrt((to - w) * (to + w));
  const auto mean = [&] {
    if (step.denoiser.eps_follows)
      return lincomb(1, state.y, down - from, step.denoiser.eps(state.y, step.from(), step.p));
    const auto [x_0, eps] = step.denoiser.both(state.y, step.from(), step.p);
    return lincomb(1, x_0, down, eps);
  };
  return {w == 0 ? mean() : lincomb(1, mean(), w, step.normal(state.y)), {}};
}

}  // namespace

StepperType ddim_stepper() {
  return {.name = "ddim",
          .summary = "DDIM; eta in [0, 1] adds noise",
          .reference = "Song, Meng and Ermon 2021, (12) and (16)",
          .options = {"eta"},
          .make = [](const Config& options) {
            const double eta = options.number("eta", 0);
            require(eta >= 0 && eta <= 1, "ddim: eta = {} should be between 0 and 1", eta);
            return Stepper{.order = 1,
                           .eta = eta,
                           .fresh = eta,
                           .advance = [eta](const Step& step, const State& state) { return advance(eta, step, state); },
                           .tableau = eta == 0 ? &find_tableau("euler") : nullptr};
          }};
}

}  // namespace costate
