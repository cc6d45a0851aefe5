// Sampling by a network that jumps to x_0: denoise, then noise again (consistency models, LCM, TCD).
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/stepper.h"

namespace costate {
namespace {

/// y' = x_0 + s_down eps + sqrt(s'^2 - s_down^2) z: the noise of the next level is the network's own up to s_down, fresh
/// above. s_down is at (1 - gamma) t', rounded down to an index of a discrete schedule; gamma = 1 has all of it fresh. With
/// `boundary` x_0 is c_out x_0 + c_skip x, c_skip = b^2 / (t^2 + b^2) (the consistency parametrisation of LCM).
State advance(double gamma, double boundary, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  auto [x_0, eps] = step.denoiser.both(state.y, from, step.p);
  if (boundary > 0) {
    const double m = std::hypot(from.t, boundary);
    x_0 = lincomb(from.t / m, x_0, from.scale() * (boundary / m) * (boundary / m), state.y);
  }
  if (to.s() == 0) return {x_0, {}};
  if (gamma == 0) return {lincomb(1, x_0, to.s(), eps), {}};
  if (gamma == 1) return {lincomb(1, x_0, to.s(), step.normal(state.y)), {}};
  const double t = (1 - gamma) * to.t;
  const double down = step.at_t(step.scheduled().steps() > 0 ? std::floor(t) : t).s();
  const Tensor y = lincomb(1, x_0, down, eps);
  const double up = std::sqrt((to.s() - down) * (to.s() + down));
  return {up == 0 ? y : lincomb(1, y, up, step.normal(state.y)), {}};
}

Stepper make(const Config& options) {
  const double gamma = options.number("gamma", 1), boundary = options.number("boundary", 0);
  require(gamma >= 0 && gamma <= 1, "consistency: gamma = {} should be between 0 and 1", gamma);
  require(boundary >= 0, "consistency: boundary = {} should not be negative", boundary);
  return {.order = 1,
          .eta = gamma,
          .solves_sde = false,
          .leaves_pure_noise = true,
          .advance = [=](const Step& step, const State& state) { return advance(gamma, boundary, step, state); }};
}

}  // namespace

StepperType consistency_stepper() {
  return {.name = "consistency",
          .summary = "denoise and noise again, a share gamma of the noise fresh (LCM: gamma = 1, TCD: below)",
          .reference = "Song et al. 2023, \"Consistency models\", algorithm 1; Zheng et al. 2024, \"TCD\", algorithm 2",
          .options = {"gamma", "boundary"},
          .make = make};
}

}  // namespace costate
