// Reverse diffusion: the reverse SDE discretised as the forward one is.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// Published: x' = x - f_i + G_i^2 score + G_i z for the forward step x_i = x_(i-1) + f_i + G_i z. That step multiplies by
/// c = a / a' and has G^2 = a^2 (s^2 - s'^2), and f = (c - 1) x. To sigma = 0: the mean.
State advance(const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  const double c = from.alpha / to.alpha, g = c * std::sqrt((from.s() - to.s()) * (from.s() + to.s()));
  const Tensor eps = step.denoiser.eps(state.y, from, step.p);
  const Tensor mean = lincomb((2 - c) * c, state.y, -g * g * to.alpha / from.sigma, eps);
  return {add_noise(step, mean, to.sigma == 0 ? 0 : g), {}};
}

}  // namespace

StepperType reverse_diffusion_stepper() {
  return {.name = "reverse-diffusion",
          .summary = "reverse diffusion: the forward discretisation, reversed",
          .reference = "Song et al. 2021, \"Score-based generative modeling through SDEs\", appendix E",
          .options = {},
          .make = [](const Config&) { return Stepper{.eta = 1, .advance = advance}; }};
}

}  // namespace costate
