// DEIS (tAB): eps a polynomial in t, integrated exactly over s.
#include <cmath>
#include <numeric>

#include "solvers/multistep.h"
#include "solvers/quadrature.h"

namespace costate {
namespace {

/// Ends of the pieces of a step on which t is a smooth function of s: of a discrete schedule it has a kink at every index.
std::vector<double> pieces(bool in_t, const Step& step) {
  std::vector<double> ends{step.from().s()};
  if (in_t && step.scheduled().steps() > 0)
    for (double t = std::ceil(step.from().t) - 1; t > step.to().t; --t) ends.push_back(step.at_t(t).s());
  ends.push_back(step.to().s());
  return ends;
}

/// y' = y + sum_k eps_k int L_k(c(s)) ds with the polynomials in a clock c: t as published, or lambda, which is what
/// diffusers calls DEIS. The authors' code replaces the integral by a left Riemann sum of 10000 points.
Weights weights(bool in_t, const Step& step, std::size_t count) {
  std::vector<double> nodes, moments{step.to().s() - step.from().s()};
  for (std::size_t k = 0; k < count; ++k) nodes.push_back(in_t ? step.back(k).t : step.back(k).lambda());
  const double first = nodes[0], unit = count > 1 ? nodes[0] - nodes[1] : 1;
  for (double& node : nodes) node = (node - first) / unit;
  const auto clock = [&](double s) {
    const double lambda = -std::log(s);
    return ((in_t ? step.scheduled().t_of_lambda(lambda) : lambda) - first) / unit;
  };
  if (count > 1)
    for (const double moment : integrate_powers(clock, count - 1, pieces(in_t, step))) moments.push_back(moment);
  Weights w;
  for (std::size_t j = 0; j < count; ++j) {
    const auto c = lagrange_coefficients(nodes, j);
    w.of.push_back(std::inner_product(c.begin(), c.end(), moments.begin(), 0.0));
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
