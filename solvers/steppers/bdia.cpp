// BDIA: DDIM forward and back from the middle of two steps, exactly invertible.
#include "solvers/reversible.h"

namespace costate {
namespace {

/// Published: x' = gamma x_before + (A - gamma A_b) x + (B - gamma B_b) eps, where A x + B eps is DDIM from x to the next
/// level and A_b x + B_b eps back to the one before. With c = gamma alpha_before / alpha' in the canonical state:
///   y' = y + c (y_before - y) + ((s' - s) - c (s_before - s)) eps
TwoStep coefficients(double gamma, const Step& step) {
  const Level& before = step.grid[static_cast<std::size_t>(step.index) - 1];
  const double c = gamma * before.alpha / step.to().alpha, s = step.from().s();
  return {c, 1 - c, (step.to().s() - s) - c * (before.s() - s)};
}

}  // namespace

StepperType bdia_stepper() {
  return {
      .name = "bdia",
      .summary = "BDIA: two-step, exactly invertible; gamma in (0, 1], below 1 its inverse loses digits in every step",
      .reference =
          "Zhang, Lewis and Kleijn 2023, \"Exact diffusion inversion via bidirectional integration "
          "approximation\", (14)",
      .options = {"gamma"},
      .make = [](const Config& options) {
        const double gamma = options.number("gamma", 1);
        require(gamma > 0 && gamma <= 1, "bdia: gamma = {} should be in (0, 1]", gamma);
        return two_step_reversible(gamma == 1 ? 2 : 1, [gamma](const Step& step) { return coefficients(gamma, step); });
      }};
}

}  // namespace costate
