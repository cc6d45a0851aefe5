// A multistep method of v: eps of the level where a step begins stands for v of any level.
#include "solvers/averaged_v.h"

#include "autodiff/ops/add.h"
#include "autodiff/ops/cast.h"

namespace costate {
namespace {

/// eps = alpha v + sigma x, v = (eps - sigma x) / alpha of the level `at`, where x = alpha y.
struct Exchange {
  double alpha, sigma;
  Tensor y;

  [[nodiscard]] Tensor eps(const Tensor& v) const { return lincomb(alpha, v, sigma * alpha, y); }
  [[nodiscard]] Tensor v(const Tensor& eps) const { return lincomb(1 / alpha, eps, -sigma, y); }
};

/// Gives the eps that the network's v stands for in a step.
Denoiser exchanging(const Denoiser& d, const Exchange& exchange) {
  require(d.prediction == Prediction::v && !d.correct,
          "sampler: values = v wants a network that predicts v, without a correction of x_0; leave values out");
  const auto net = [&d, exchange](const Tensor& x, const Level& at, const Tensors& p) {
    return exchange.eps(cast(d.net(cast(x, d.dtype), at, p), x.dtype()));
  };
  return {.net = net, .prediction = Prediction::epsilon, .dtype = exchange.y.dtype()};
}

State advance(const Stepper& method, const Step& step, const State& state) {
  const Exchange exchange{step.from().alpha, step.from().sigma, state.y};
  const Denoiser denoiser = exchanging(step.denoiser, exchange);
  State known{state.y, {}};
  for (const Tensor& v : state.memory) known.memory.push_back(exchange.eps(v));
  State next = method.advance(step.with(denoiser), known);
  for (Tensor& value : next.memory) value = exchange.v(value);
  return next;
}

}  // namespace

Stepper with_values(const Stepper& method, const Config& options) {
  if (options.choice("values", "eps", {"eps", "v"}) == "eps") return method;
  Stepper of_v = method;
  of_v.advance = [method](const Step& step, const State& state) { return advance(method, step, state); };
  return of_v;
}

}  // namespace costate
