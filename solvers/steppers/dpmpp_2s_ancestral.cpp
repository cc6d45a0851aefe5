// DPM-Solver++(2S) with ancestral noise.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// With q = down / s: y_m = sqrt(q) y + (1 - sqrt(q)) x_0 halfway in lambda, y' = q y + (1 - q) x_0(y_m) + up z.
State advance(double eta, const Step& step, const State& state) {
  const double from = step.from().s();
  const auto [down, up] = ancestral(from, step.to().s(), eta);
  const Tensor x_0 = step.denoiser.x0(state.y, step.from(), step.p);
  const double q = down / from, r = std::sqrt(q);
  if (down == 0) return {add_noise(step, x_0, up), {}};
  const Level middle = step.at_lambda(-std::log(from * r));
  const Tensor x_m = step.denoiser.x0(lincomb(r, state.y, 1 - r, x_0), middle, step.p);
  return {add_noise(step, lincomb(q, state.y, 1 - q, x_m), up), {}};
}

}  // namespace

StepperType dpmpp_2s_ancestral_stepper() {
  return {.name = "dpmpp-2s-ancestral",
          .summary = "DPM-Solver++(2S) with ancestral noise",
          .reference = "k-diffusion, sample_dpmpp_2s_ancestral",
          .options = {"eta"},
          .make = [](const Config& options) { return with_eta(options, {.order = 2, .evaluations = 2}, advance); }};
}

}  // namespace costate
