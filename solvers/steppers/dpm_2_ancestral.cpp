// DPM-Solver-2 as k-diffusion has it (midpoint in ln s, Euler weights in s) with ancestral noise.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

State advance(double eta, const Step& step, const State& state) {
  const double from = step.from().s();
  const auto [down, up] = ancestral(from, step.to().s(), eta);
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  if (down == 0) return {add_noise(step, lincomb(1, state.y, down - from, eps), up), {}};
  const double middle = std::sqrt(from * down);
  const Tensor y = lincomb(1, state.y, middle - from, eps);
  const Tensor eps_middle = step.denoiser.eps(y, step.at_lambda(-std::log(middle)), step.p);
  return {add_noise(step, lincomb(1, state.y, down - from, eps_middle), up), {}};
}

}  // namespace

StepperType dpm_2_ancestral_stepper() {
  return {.name = "dpm-2-ancestral",
          .summary = "midpoint in ln(sigma / alpha) with ancestral noise",
          .reference = "k-diffusion, sample_dpm_2_ancestral; Karras et al. 2022, algorithm 2",
          .options = {"eta"},
          .make = [](const Config& options) { return with_eta(options, {.order = 2, .evaluations = 2}, advance); }};
}

}  // namespace costate
