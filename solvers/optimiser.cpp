// Gradient descent, written with the ops that everything else is written with.
#include "solvers/optimiser.h"

#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reciprocal.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sqrt.h"
#include "core/config.h"

namespace costate {
namespace {

/// b m + (1 - b) g, with m zero where it is undefined.
Tensor average(double b, const Tensor& m, const Tensor& g) {
  return m.defined() ? lincomb(b, m, 1 - b, g) : scale(g, 1 - b);
}

}  // namespace

Tensors Optimiser::step(const Tensors& values, const Tensors& gradients, State& state) const {
  require(values.size() == gradients.size(), "optimiser: {} gradients for {} values", gradients.size(), values.size());
  ++state.steps;
  state.first.resize(values.size());
  state.second.resize(values.size());
  Tensors next = values;
  const auto n = static_cast<double>(state.steps);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Tensor& g = gradients[i];
    if (!g.defined()) continue;
    Tensor& m = state.first[i];
    if (kind == Kind::sgd) {
      m = momentum != 0 && m.defined() ? lincomb(momentum, m, 1, g) : g;
      next[i] = lincomb(1, values[i], -rate, m);
      continue;
    }
    // Kingma and Ba 2015, algorithm 1; square roots of exact zeros are never divided by, since `tiny` is added.
    m = average(beta_1, m, g);
    state.second[i] = average(beta_2, state.second[i], square(g));
    const Tensor size = sqrt(scale(state.second[i], 1 / (1 - std::pow(beta_2, n))));
    const Tensor direction = mul(m, reciprocal(add_scalar(size, tiny)));
    next[i] = lincomb(1, values[i], -rate / (1 - std::pow(beta_1, n)), direction);
  }
  return next;
}

Optimiser::Kind optimiser_from(const std::string& name) {
  if (name == "sgd") return Optimiser::Kind::sgd;
  if (name == "adam") return Optimiser::Kind::adam;
  fail_unknown("optimiser", name, {"sgd", "adam"});
}

}  // namespace costate
