// SDE-DPM-Solver-2M: two-step, noise form.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/multistep.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// y' = y + 2 (s' - s) eps + 2 c (eps - eps_before) h / h_before + sqrt(s^2 - s'^2) z, where c is (s' - s) / 2 (midpoint) or
/// s' - (s - s') / h, the integral of a straight line (heun); to s = 0 the denoised state.
State advance(bool heun, const Ending& ending, const Step& step, const State& state) {
  const double from = step.from().s(), to = step.to().s();
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  if (to == 0) return {lincomb(1, state.y, -from, eps), {eps}};
  Tensor y = lincomb(1, state.y, 2 * (to - from), eps);
  if (ending.values(step, state.memory.size() + 1) > 1) {
    const double h = step.to().lambda() - step.from().lambda();
    const double c = heun ? to - (from - to) / h : (to - from) / 2;
    const double ratio = h / (step.from().lambda() - step.back(1).lambda());
    y = lincomb(1, y, 2 * c * ratio, lincomb(1, eps, -1, state.memory[0]));
  }
  return {add_noise(step, y, std::sqrt((from - to) * (from + to))), {eps}};
}

}  // namespace

StepperType sde_dpm_2m_stepper() {
  return {.name = "sde-dpm-2m",
          .summary = "SDE-DPM-Solver-2M: two-step, noise form; kind midpoint or heun",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", (17)",
          .options = {"kind", "lower_order_final", "euler_at_final"},
          .make = [](const Config& options) {
            const bool heun = options.choice("kind", "midpoint", {"midpoint", "heun"}) == "heun";
            return Stepper{.eta = 1,
                           .advance = [heun, ending = Ending::from(options)](const Step& step, const State& state) {
                             return advance(heun, ending, step, state);
                           }};
          }};
}

}  // namespace costate
