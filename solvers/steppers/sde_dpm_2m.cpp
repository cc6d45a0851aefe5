// SDE-DPM-Solver-2M: two-step, noise form.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// y' = y + 2 (s' - s) (eps + (eps - eps_before) h / (2 h_before)) + sqrt(s^2 - s'^2) z; to s = 0 the denoised state.
State advance(const Step& step, const State& state) {
  const double from = step.from().s(), to = step.to().s();
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  if (to == 0) return {lincomb(1, state.y, -from, eps), {eps}};
  Tensor d = eps;
  if (!state.memory.empty()) {
    const double k = (step.to().lambda() - step.from().lambda()) / (2 * (step.from().lambda() - step.back(1).lambda()));
    d = lincomb(1 + k, eps, -k, state.memory[0]);
  }
  return {add_noise(step, lincomb(1, state.y, 2 * (to - from), d), std::sqrt((from - to) * (from + to))), {eps}};
}

}  // namespace

StepperType sde_dpm_2m_stepper() {
  return {.name = "sde-dpm-2m",
          .summary = "SDE-DPM-Solver-2M: two-step, noise form",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", (17)",
          .options = {},
          .make = [](const Config&) { return Stepper{.eta = 1, .advance = advance}; }};
}

}  // namespace costate
