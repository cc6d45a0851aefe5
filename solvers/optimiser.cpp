// Gradient descent, written with the ops that everything else is written with.
#include "solvers/optimiser.h"

#include <cmath>
#include <utility>

#include "autodiff/ops/adam.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/cast.h"
#include "core/config.h"

namespace costate {
namespace {

/// A moment of values x, where there was none zeros.
Tensor moment(const Tensor& so_far, const Tensor& x) {
  const DType dtype = moment_dtype(x.dtype());
  return so_far.defined() ? cast(so_far, dtype) : Tensor::zeros(x.shape(), x.kind().with(dtype));
}

}  // namespace

Tensors Optimiser::step(const Tensors& values, const Tensors& gradients, State& state) const {
  require(values.size() == gradients.size(), "optimiser: {} gradients for {} values", gradients.size(), values.size());
  State now = state;  // which stays as it was if this throws
  now.first.resize(values.size());
  now.second.resize(values.size());
  const auto n = static_cast<double>(++now.steps);
  const AdamFactors by{.beta_1 = beta_1,
                       .beta_2 = beta_2,
                       .rate = rate / (1 - std::pow(beta_1, n)),
                       .unbias = 1 / (1 - std::pow(beta_2, n)),
                       .tiny = tiny};
  Tensors next = values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Tensor &x = values[i], &g = gradients[i];
    if (!g.defined()) continue;
    require_same("optimiser (gradient and values)", g, x);
    Tensor &m = now.first[i], &v = now.second[i];
    if (kind == Kind::adam) {
      Tensors after = adam(by, x, g, moment(m, x), moment(v, x));
      next[i] = after[0], m = after[1], v = after[2];
    } else {
      const DType wide = moment_dtype(x.dtype());
      m = momentum != 0 && m.defined() ? lincomb(momentum, moment(m, x), 1, cast(g, wide)) : cast(g, wide);
      next[i] = cast(lincomb(1, cast(x, wide), -rate, m), x.dtype());
    }
  }
  state = std::move(now);
  return next;
}

Optimiser::Kind optimiser_from(const std::string& name) {
  if (name == "sgd") return Optimiser::Kind::sgd;
  if (name == "adam") return Optimiser::Kind::adam;
  fail_unknown("optimiser", name, {"sgd", "adam"});
}

Tensors average(const Tensors& averages, const Tensors& values, double decay) {
  require(averages.empty() || averages.size() == values.size(), "average: {} averages of {} values", averages.size(),
          values.size());
  Tensors next;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Tensor x = cast(values[i], moment_dtype(values[i].dtype()));
    if (!averages.empty()) require_same("average", averages[i], x);
    next.push_back(averages.empty() ? x : lincomb(decay, averages[i], 1 - decay, x));
  }
  return next;
}

}  // namespace costate
