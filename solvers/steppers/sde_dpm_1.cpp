// SDE-DPM-Solver-1: the reverse SDE with eps held over the step.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// Published: x' = (alpha'/alpha) x - 2 sigma' (e^h - 1) eps + sigma' sqrt(e^2h - 1) z;
/// y' = y + 2 (s' - s) eps + sqrt(s^2 - s'^2) z. The step to s = 0, where that noise is of the size of the data's, is the denoised state.
State advance(const Step& step, const State& state) {
  const double from = step.from().s(), to = step.to().s();
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  if (to == 0) return {lincomb(1, state.y, -from, eps), {}};
  return {add_noise(step, lincomb(1, state.y, 2 * (to - from), eps), std::sqrt((from - to) * (from + to))), {}};
}

}  // namespace

StepperType sde_dpm_1_stepper() {
  return {.name = "sde-dpm-1",
          .summary = "SDE-DPM-Solver-1: noise form, first order",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", (16)",
          .options = {},
          .make = [](const Config&) { return Stepper{.eta = 1, .advance = advance}; }};
}

}  // namespace costate
