// O-BELM: the two-step reversible method with the smallest local error of its kind.
#include "solvers/reversible.h"

namespace costate {
namespace {

/// Published: x' = d2 d3 / d1 alpha' eps + (d2 / d1)^2 alpha' / alpha_before x_before + (d1 - d2) d3 / d1^2 alpha' / alpha x
/// with s_before, s, s' of sigma / alpha and d1 = s - s_before, d2 = s' - s, d3 = s' - s_before; in the canonical state the
/// alphas are gone.
TwoStep coefficients(const Step& step) {
  const double before = step.grid[static_cast<std::size_t>(step.index) - 1].s();
  const double d1 = step.from().s() - before, d2 = step.to().s() - step.from().s(), d3 = step.to().s() - before;
  return {d2 * d2 / (d1 * d1), (d1 - d2) * d3 / (d1 * d1), d2 * d3 / d1};
}

}  // namespace

StepperType o_belm_stepper() {
  return {.name = "o-belm",
          .summary = "O-BELM: two-step, exactly invertible",
          .reference = "Wang et al. 2024, \"BELM\", (18)",
          .options = {},
          .make = [](const Config&) { return two_step_reversible(2, coefficients); }};
}

}  // namespace costate
