// DPM-Solver++(2M): the two-step method in data form.
#include "autodiff/ops/add.h"
#include "solvers/stepper.h"

namespace costate {
namespace {

/// Published: x' = (g'/g) x - a' (e^-h - 1) D with D = (1 + 1/(2r)) m - 1/(2r) m_before and r = h_before / h. Since
/// e^-h = s'/s, in the canonical state y' = (s'/s) y + (1 - s'/s) D. The first step, and the one to s = 0 (h infinite),
/// take D = m.
State advance(const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  const Tensor m = step.denoiser.x0(state.y, from, step.p);
  Tensor d = m;
  if (!state.memory.empty() && to.s() > 0) {
    const double h = to.lambda() - from.lambda();
    const double h_before = from.lambda() - step.grid[static_cast<std::size_t>(step.index) - 1].lambda();
    const double k = h / (2 * h_before);
    d = lincomb(1 + k, m, -k, state.memory[0]);
  }
  const double q = to.s() / from.s();
  return {lincomb(q, state.y, 1 - q, d), {m}};
}

}  // namespace

StepperType dpmpp_2m_stepper() {
  return {.name = "dpmpp-2m",
          .summary = "DPM-Solver++(2M): two-step, data form",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", algorithm 2",
          .options = {},
          .make = [](const Config&) { return Stepper{.order = 2, .evaluations = 1, .advance = advance}; }};
}

}  // namespace costate
