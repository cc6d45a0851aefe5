// Euler-Maruyama on the reverse SDE in t.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/score_sde.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// Published: x' = x + (f x - g^2 score) dt + g sqrt(-dt) z with dt < 0, and score = -eps / sigma. To sigma = 0, a
/// level that has no t of its own: the denoised state; as released the mean.
State advance(Discretization how, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  const Tensor eps = step.denoiser.eps(state.y, from, step.p);
  if (to.sigma == 0 && how == Discretization::grid) return {lincomb(1, state.y, -from.s(), eps), {}};
  const double dt = dt_of(how, step), f = step.scheduled().f(from.t), g2 = step.scheduled().g2(from.t);
  require(dt < 0, "euler-maruyama: t goes from {} to {}; the grid's t should fall", from.t, to.t);
  const Tensor mean = lincomb(from.alpha / to.alpha * (1 + f * dt), state.y, g2 * dt / (from.sigma * to.alpha), eps);
  return {add_noise(step, mean, to.sigma == 0 ? 0 : std::sqrt(-g2 * dt) / to.alpha), {}};
}

}  // namespace

StepperType euler_maruyama_stepper() {
  return {.name = "euler-maruyama",
          .summary = "Euler-Maruyama on the reverse SDE in t",
          .reference = "Song et al. 2021, \"Score-based generative modeling through SDEs\", (6)",
          .options = {"discretization"},
          .make = [](const Config& options) {
            const Discretization how = discretization_from(options);
            return Stepper{
                .eta = 1, .advance = [how](const Step& step, const State& state) { return advance(how, step, state); }};
          }};
}

}  // namespace costate
