// Gradient estimation: Euler in s with eps extrapolated from the last two, and a share of fresh noise.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/multistep.h"

namespace costate {
namespace {

/// Published: y' = y + (s_down - s) (gamma eps + (1 - gamma) eps_before) + sqrt(s'^2 - s_down^2) z with
/// s_down = (s' / s^mu)^(1 / (1 - mu)); the first step has eps alone. mu = 0 is deterministic, gamma = 1 and mu = 1/2 is
/// DDPM; in all, eta^2 = mu / (1 - mu). gamma = 2 is of first order; second order wants 1 + (ratio of successive steps in s) / 2.
State advance(double gamma, double mu, const Step& step, const State& state) {
  const double from = step.from().s(), to = step.to().s();
  const double down = mu == 0 ? to : std::pow(to / std::pow(from, mu), 1 / (1 - mu));
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  const Tensor slope = state.memory.empty() ? eps : lincomb(gamma, eps, 1 - gamma, state.memory[0]);
  const Tensor y = lincomb(1, state.y, down - from, slope);
  if (mu == 0 || to == 0) return {y, {eps}};
  return {lincomb(1, y, std::sqrt((to - down) * (to + down)), step.normal(y)), {eps}};
}

}  // namespace

StepperType ge_stepper() {
  return {.name = "ge",
          .summary = "gradient estimation: Euler with eps extrapolated from the last two; mu in [0, 1) adds noise",
          .reference = "Permenter and Yuan 2024, \"Interpreting and Improving Diffusion Models\", algorithm 2",
          .options = {"gamma", "mu"},
          .make = [](const Config& options) {
            const double gamma = options.number("gamma", 2), mu = options.number("mu", 0);
            require(mu >= 0 && mu < 1, "ge: mu = {} should be in [0, 1)", mu);
            return Stepper{.order = 1,
                           .eta = std::sqrt(mu / (1 - mu)),
                           .advance = [gamma, mu](const Step& step, const State& state) {
                             return advance(gamma, mu, step, state);
                           }};
          }};
}

}  // namespace costate
