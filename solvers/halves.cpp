// Splitting and joining a network's output.
#include "solvers/halves.h"

#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/split.h"

namespace costate {

Halves halves(const Tensor& out, const Tensor& x) {
  const std::int64_t channels = x.dim(-1);
  if (out.rank() != x.rank() || out.dim(-1) != 2 * channels) return {out};
  const Tensors both = split(out, -1, {channels, channels});
  return {both[0], both[1]};
}

Tensor joined(const Halves& parts) {
  return parts.variance.defined() ? concat({parts.prediction, parts.variance}, -1) : parts.prediction;
}

Found find_all(const Denoiser& denoiser, const Tensor& y, const Level& at, const Tensors& p) {
  Tensor variance;
  Denoiser keeping = denoiser;
  keeping.net = [&](const Tensor& x, const Level& level, const Tensors& q) {
    const Halves parts = halves(denoiser.net(x, level, q), x);
    variance = parts.variance;
    return parts.prediction;
  };
  const auto [x_0, eps] = keeping.both(y, at, p);
  return {x_0, eps, variance.defined() ? cast(variance, y.dtype()) : Tensor()};
}

}  // namespace costate
