// SDE-DPM-Solver++(3M): three-step, data form.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/multistep.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

/// (a - b) / r
Tensor difference(const Tensor& a, const Tensor& b, double r) { return lincomb(1 / r, a, -1 / r, b); }

struct Settings {
  bool second_midpoint;  // the two-value steps have DPM-Solver++(2M)'s weights
  bool released;         // diffusers' sign of the last term
  Ending ending;
};

/// With h the step, h_1 and h_2 those before in lambda, r_0 = h_1 / h, r_1 = h_2 / h, and d_0 = (m - m_1) / r_0,
/// d_1 = (m_1 - m_2) / r_1: y' = keep y + (1 - keep) m + phi_2 D_1 - phi_3 D_2 + up z,
/// D_1 = d_0 + r_0 D_2, D_2 = (d_0 - d_1) / (r_0 + r_1), phi_2 = 1 - (1 - keep) / H, phi_3 = phi_2 / H - 1/2, H = (1 + eta) h.
State advance(double eta, const Settings& settings, const Step& step, const State& state) {
  const DataStep d = data_step(step.from(), step.to(), eta);
  const Tensor m = step.denoiser.x0(state.y, step.from(), step.p);
  Tensor y = lincomb(d.keep, state.y, 1 - d.keep, m);
  const Tensors values = remember(m, state.memory, 3);
  const std::size_t count = step.to().s() > 0 ? settings.ending.values(step, values.size()) : 1;
  if (count > 1) {
    const double h = step.to().lambda() - step.from().lambda();
    const double r0 = (step.from().lambda() - step.back(1).lambda()) / h;
    const double phi2 = 1 - (1 - d.keep) / d.h, phi3 = phi2 / d.h - 0.5 + (settings.released ? 1 : 0);
    const Tensor d0 = difference(m, values[1], r0);
    if (count == 2) {
      y = lincomb(1, y, settings.second_midpoint ? (1 - d.keep) / 2 : phi2, d0);
    } else {
      const double r1 = (step.back(1).lambda() - step.back(2).lambda()) / h;
      const Tensor d2 = difference(d0, difference(values[1], values[2], r1), r0 + r1);
      y = lincomb(1, lincomb(1, y, phi2, d0), phi2 * r0 - phi3, d2);
    }
  }
  return {add_noise(step, y, d.up), values};
}

Stepper make(const Config& options) {
  const Settings settings{.second_midpoint = options.choice("second_step", "heun", {"midpoint", "heun"}) == "midpoint",
                          .released = options.choice("weights", "published", {"published", "diffusers"}) == "diffusers",
                          .ending = Ending::from(options)};
  return with_squared_eta(
      options, {.order = 2, .evaluations = 1},
      [settings](double eta, const Step& step, const State& state) { return advance(eta, settings, step, state); });
}

}  // namespace

StepperType sde_dpmpp_3m_stepper() {
  return {.name = "sde-dpmpp-3m",
          .summary = "SDE-DPM-Solver++(3M): three-step, data form",
          .reference = "k-diffusion, sample_dpmpp_3m_sde",
          .options = {"eta", "second_step", "weights", "lower_order_final", "euler_at_final"},
          .make = make};
}

}  // namespace costate
