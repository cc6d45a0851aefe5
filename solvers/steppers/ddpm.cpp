// DDPM's ancestral sampling, on any grid.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/score_sde.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// The mean of q(x' | x, x_0) is y' = q y + (1 - q) x_0 with q = (s' / s)^2. Its variance (small) is s'^2 (1 - q); large is
/// that of the forward step from s' to s, (a / a')^2 (s^2 - s'^2) in y. No noise in the step to s = 0.
State advance(bool large, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  DataStep d = data_step(from, to, 1);
  if (large && to.s() > 0) d.up = from.alpha / to.alpha * std::sqrt((from.s() - to.s()) * (from.s() + to.s()));
  const Tensor x_0 = step.denoiser.x0(state.y, from, step.p);
  return {add_noise(step, lincomb(d.keep, state.y, 1 - d.keep, x_0), d.up), {}};
}

/// "Ancestral sampling" of score_sde: x' = (x + G^2 score) / c, and noise of its forward step (large) or less by s' / s.
State as_released(bool large, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  const auto [c, variance, ratio] = forward_step(Discretization::score_sde, step);
  require(large || !std::isnan(ratio), "ddpm: score_sde has variance = small for exploding schedules only");
  const Tensor eps = step.denoiser.eps(state.y, from, step.p);
  const Tensor mean = lincomb(from.alpha / (c * to.alpha), state.y, -variance / (c * from.sigma * to.alpha), eps);
  return {add_noise(step, mean, to.sigma == 0 ? 0 : std::sqrt(variance) * (large ? 1 : ratio) / to.alpha), {}};
}

}  // namespace

StepperType ddpm_stepper() {
  return {.name = "ddpm",
          .summary = "DDPM ancestral sampling; variance small or large",
          .reference = "Ho, Jain and Abbeel 2020, (7) and section 3.2",
          .options = {"variance", "discretization"},
          .make = [](const Config& options) {
            const bool large = options.choice("variance", "small", {"small", "large"}) == "large";
            const bool released = discretization_from(options) == Discretization::score_sde;
            return Stepper{.eta = 1, .advance = [=](const Step& step, const State& state) {
                             return released ? as_released(large, step, state) : advance(large, step, state);
                           }};
          }};
}

}  // namespace costate
