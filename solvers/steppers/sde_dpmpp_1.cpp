// SDE-DPM-Solver++(1): the reverse SDE with x_0 held over the step. With eta = 1 it is DDPM with the small variance.
#include "autodiff/ops/add.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

State advance(double eta, const Step& step, const State& state) {
  const DataStep d = data_step(step.from(), step.to(), eta);
  const Tensor x_0 = step.denoiser.x0(state.y, step.from(), step.p);
  return {add_noise(step, lincomb(d.keep, state.y, 1 - d.keep, x_0), d.up), {}};
}

}  // namespace

StepperType sde_dpmpp_1_stepper() {
  return {
      .name = "sde-dpmpp-1",
      .summary = "SDE-DPM-Solver++(1): data form, first order",
      .reference = "Lu et al. 2022, \"DPM-Solver++\", (18)",
      .options = {"eta"},
      .make = [](const Config& options) { return with_squared_eta(options, {.order = 1, .evaluations = 1}, advance); }};
}

}  // namespace costate
