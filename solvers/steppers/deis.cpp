// DEIS (tAB): eps a polynomial in t, integrated exactly over s.
#include <cmath>

#include "solvers/multistep.h"
#include "solvers/quadrature.h"

namespace costate {
namespace {

/// y' = y + sum_k eps_k int L_k(c(s)) ds with the polynomials in a clock c: t as published, or lambda, which is what
/// diffusers calls DEIS. The authors' code replaces the integral by a left Riemann sum of 10000 points.
Weights weights(bool in_t, const Step& step, std::size_t count) {
  std::vector<double> nodes;
  for (std::size_t k = 0; k < count; ++k) nodes.push_back(in_t ? step.back(k).t : step.back(k).lambda());
  Weights w;
  for (std::size_t j = 0; j < count; ++j) {
    const auto polynomial = [&](double s) {
      return lagrange(nodes, j, in_t ? step.at_lambda(-std::log(s)).t : -std::log(s));
    };
    w.of.push_back(count == 1 ? step.to().s() - step.from().s()
                              : integrate(polynomial, step.from().s(), step.to().s()));
  }
  return w;
}

}  // namespace

StepperType deis_stepper() {
  return {.name = "deis",
          .summary = "DEIS-tAB: eps a polynomial of degree q in t (order q + 1)",
          .reference = "Zhang and Chen 2023, \"DEIS\", (15)",
          .options = multistep_options({"polynomial"}),
          .orders = {1, 2, 3},
          .make = [](const Config& options) {
            const auto q = static_cast<int>(options.integer("order", 2));
            const bool in_t = options.choice("polynomial", "t", {"t", "lambda"}) == "t";
            return multistep(
                {.points = static_cast<std::size_t>(q) + 1,
                 .order = q + 1,
                 .weights = [in_t](const Step& step, std::size_t count) { return weights(in_t, step, count); },
                 .polynomial_in_lambda = false},
                options);
          }};
}

}  // namespace costate
