// Reverse diffusion: the reverse SDE discretised as the forward one is.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/score_sde.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

struct Options {
  Discretization discretization;
  bool flow;
};

/// Published: x' = x - f_i + G_i^2 score + G_i z for the forward step x_i = x_(i-1) + f_i + G_i z. That step multiplies by
/// its decay c, so that f_i = (c - 1) x. Of the probability flow: half the score and no noise. To sigma = 0: the mean.
State advance(const Options& o, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  const auto [c, variance, ratio] = forward_step(o.discretization, step);
  const Tensor eps = step.denoiser.eps(state.y, from, step.p);
  const double pull = variance * (o.flow ? 0.5 : 1) / (from.sigma * to.alpha);
  const Tensor mean = lincomb((2 - c) * from.alpha / to.alpha, state.y, -pull, eps);
  return {add_noise(step, mean, o.flow || to.sigma == 0 ? 0 : std::sqrt(variance) / to.alpha), {}};
}

}  // namespace

StepperType reverse_diffusion_stepper() {
  return {.name = "reverse-diffusion",
          .summary = "reverse diffusion: the forward discretisation, reversed; flow = true: of the probability flow",
          .reference = "Song et al. 2021, \"Score-based generative modeling through SDEs\", appendix E",
          .options = {"flow", "discretization"},
          .make = [](const Config& options) {
            const Options o{discretization_from(options), options.flag("flow", false)};
            return Stepper{.eta = o.flow ? 0.0 : 1.0,
                           .advance = [o](const Step& step, const State& state) { return advance(o, step, state); }};
          }};
}

}  // namespace costate
