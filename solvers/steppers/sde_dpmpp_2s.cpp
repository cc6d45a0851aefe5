// SDE-DPM-Solver++(2S): single step, data form, with noise at the stage between as well.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// y moved to `down` with x_0 held: q y + (1 - q) x_0, q = down / s.
Tensor towards(double q, const Tensor& y, const Tensor& x_0) { return lincomb(q, y, 1 - q, x_0); }

/// Stage at lambda + r h: its own ancestral split, noise of part 0; then x_0 = (1 - 1/(2r)) m + 1/(2r) m_stage, noise of
/// part 1. The two are independent as fresh noise; on a Brownian path the second interval holds the first.
State advance(double eta, double r, double S_noise, const Step& step, const State& state) {
  const double from = step.from().s(), to = step.to().s();
  const Tensor m = step.denoiser.x0(state.y, step.from(), step.p);
  if (to == 0) return {m, {}};
  const double stage = from * std::pow(to / from, r);
  const auto [stage_down, stage_up] = ancestral(from, stage, eta);
  Tensor y_stage = towards(stage_down / from, state.y, m);
  if (stage_up > 0) y_stage = lincomb(1, y_stage, S_noise * stage_up, step.normal_to(stage, state.y));
  const Tensor m_stage = step.denoiser.x0(y_stage, step.at_lambda(-std::log(stage)), step.p);
  const auto [down, up] = ancestral(from, to, eta);
  const double f = 1 / (2 * r);
  return {add_noise(step, towards(down / from, state.y, lincomb(1 - f, m, f, m_stage)), S_noise * up, 1), {}};
}

}  // namespace

StepperType sde_dpmpp_2s_stepper() {
  return {
      .name = "sde-dpmpp-2s",
      .summary = "SDE-DPM-Solver++(2S): single step, data form; r in (0, 1) places the stage, S_noise scales the noise",
      .reference = "k-diffusion, sample_dpmpp_sde",
      .options = {"eta", "r", "S_noise"},
      .make = [](const Config& options) {
        const double r = options.number("r", 0.5), S_noise = options.number("S_noise", 1);
        require(r > 0 && r < 1, "sde-dpmpp-2s: r = {} should be in (0, 1)", r);
        return with_eta(options, {.order = 2, .evaluations = 2}, [=](double eta, const Step& step, const State& state) {
          return advance(eta, r, S_noise, step, state);
        });
      }};
}

}  // namespace costate
