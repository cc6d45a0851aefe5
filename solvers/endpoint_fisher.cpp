// The endpoint approximation of the Fisher information.
#include "solvers/endpoint_fisher.h"

#include "autodiff/ops/add.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/sum.h"

namespace costate {
namespace {

/// <a, v> of every sample, times a.
Tensor project(const Tensor& a, const Tensor& v) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(a.rank()), 1);
  rows[0] = a.dim(0);
  return mul(sum_to(mul(a, v), Shape(rows)), a);
}

}  // namespace

Tensor endpoint_fisher(const Denoiser& denoiser, const Level& at, const Tensor& y, const Tensor& y0, const Tensors& p,
                       const Tensor& v) {
  const Tensor ybar = denoiser.x0(y, at, p);
  const double variance = at.sigma * at.sigma, c = at.alpha * at.alpha / (variance * variance);
  return lincomb(1 / variance, v, -c, sub(project(y0, v), project(ybar, v)));
}

}  // namespace costate
