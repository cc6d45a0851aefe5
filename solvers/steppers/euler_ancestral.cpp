// Euler with ancestral noise: a deterministic step below the next level, and noise up to it.
#include "autodiff/ops/add.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

State advance(double eta, const Step& step, const State& state) {
  const double from = step.from().s();
  const auto [down, up] = ancestral(from, step.to().s(), eta);
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  return {add_noise(step, lincomb(1, state.y, down - from, eps), up), {}};
}

}  // namespace

StepperType euler_ancestral_stepper() {
  return {.name = "euler-ancestral",
          .summary = "Euler with ancestral noise; the map of DDIM with the same eta",
          .reference = "k-diffusion, sample_euler_ancestral",
          .options = {"eta"},
          .make = [](const Config& options) { return with_eta(options, {.order = 1, .evaluations = 1}, advance); }};
}

}  // namespace costate
