// DEIS in the clock s (rhoAB): Adams-Bashforth with weights from the grid's own levels.
#include "solvers/multistep.h"

namespace costate {
namespace {

/// y' = y + sum_k eps_k int L_k(s) ds, L_k the Lagrange polynomials in s of the last levels.
Stepper make(const Config& options) {
  const auto q = static_cast<int>(options.integer("order", 2));
  return multistep(
      {.points = static_cast<std::size_t>(q) + 1, .order = q + 1, .weights = adams, .polynomial_in_lambda = false},
      options);
}

}  // namespace

StepperType rho_deis_stepper() {
  return {.name = "rho-deis",
          .summary = "DEIS-rhoAB: eps a polynomial of degree q in sigma / alpha (order q + 1)",
          .reference = "Zhang and Chen 2023, \"DEIS\", section 3.3",
          .options = multistep_options(),
          .orders = {1, 2, 3},
          .make = make};
}

}  // namespace costate
