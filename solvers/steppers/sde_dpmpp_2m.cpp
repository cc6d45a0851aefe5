// SDE-DPM-Solver++(2M): two-step, data form.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/multistep.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// y' = keep y + (1 - keep) m + c (m - m_before) h / h_before + up z, where c is (1 - keep) / 2 (midpoint) or
/// 1 - (1 - keep) / h (heun). First step, and that to s = 0: without the difference.
State advance(double eta, bool heun, const Ending& ending, const Step& step, const State& state) {
  const DataStep d = data_step(step.from(), step.to(), eta);
  const Tensor m = step.denoiser.x0(state.y, step.from(), step.p);
  Tensor y = lincomb(d.keep, state.y, 1 - d.keep, m);
  if (ending.values(step, state.memory.size() + 1) > 1 && step.to().s() > 0) {
    const double ratio = (step.to().lambda() - step.from().lambda()) / (step.from().lambda() - step.back(1).lambda());
    const double c = ratio * (heun ? 1 - (1 - d.keep) / d.h : (1 - d.keep) / 2);
    y = lincomb(1, y, c, lincomb(1, m, -1, state.memory[0]));
  }
  return {add_noise(step, y, d.up), {m}};
}

}  // namespace

StepperType sde_dpmpp_2m_stepper() {
  return {.name = "sde-dpmpp-2m",
          .summary = "SDE-DPM-Solver++(2M): two-step, data form; kind midpoint or heun",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", (19); k-diffusion, sample_dpmpp_2m_sde",
          .options = {"eta", "kind", "lower_order_final", "euler_at_final"},
          .make = [](const Config& options) {
            const bool heun = options.choice("kind", "midpoint", {"midpoint", "heun"}) == "heun";
            const Ending ending = Ending::from(options);
            return with_squared_eta(options, {.order = 2}, [=](double eta, const Step& step, const State& state) {
              return advance(eta, heun, ending, step, state);
            });
          }};
}

}  // namespace costate
