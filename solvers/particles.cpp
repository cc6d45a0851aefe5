// Kernel sums over a batch, as matrices.
#include "solvers/particles.h"

#include <algorithm>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/sum.h"
#include "core/config.h"

namespace costate {
namespace {

/// a (m, k) times b (k, n), or times the transpose of b (n, k).
Tensor product(const Tensor& a, const Tensor& b, bool transposed = false) {
  const Tensor c = matmul(reshape(a, a.shape().with_front(1)), reshape(b, b.shape().with_front(1)), false, transposed);
  return reshape(c, {c.dim(1), c.dim(2)});
}

/// K (n, n) of the rows of x (n, d), from |x_i - x_j|^2 = |x_i|^2 + |x_j|^2 - 2 <x_i, x_j>.
Tensor kernel(const Tensor& x, double bandwidth) {
  const std::int64_t n = x.dim(0);
  const Tensor squares = broadcast_to(sum_to(x * x, {n, 1}), {n, n}), across = permute(squares, {1, 0});
  const Tensor distances = squares + across - 2 * product(x, x, true);
  return exp(distances * (-0.5 / (bandwidth * bandwidth)));
}

/// sum_j W_ij (x_i - x_j) / b^2
Tensor repulsion(const Tensor& W, const Tensor& x, double bandwidth) {
  const Tensor rows = broadcast_to(sum_to(W, {x.dim(0), 1}), x.shape());
  return (rows * x - product(W, x)) / (bandwidth * bandwidth);
}

/// K^-1 B by Gauss and Jordan's elimination of (K, B); K is positive definite: no pivots are sought.
Tensor solve(const Tensor& K, const Tensor& B) {
  const std::int64_t n = K.dim(0);
  Tensor all = concat({K, B}, 1);
  for (std::int64_t k = 0; k < n; ++k) {
    const Tensor row = slice(all, 0, k, 1);
    const Tensor unit = pad(Tensor::full({1, 1}, 1, K.kind()), 0, k, n - 1 - k);
    all = all - product(slice(all, 1, k, 1) - unit, row / broadcast_to(slice(row, 1, k, 1), row.shape()));
  }
  return slice(all, 1, n, B.dim(1));
}

}  // namespace

Particles particles_from(const std::string& name) {
  if (name == "none") return Particles::none;
  if (name == "gfsd") return Particles::gfsd;
  if (name == "gfsf") return Particles::gfsf;
  if (name == "blob") return Particles::blob;
  if (name == "svgd") return Particles::svgd;
  fail_unknown("particle flow", name, {"none", "gfsd", "gfsf", "blob", "svgd"});
}

Tensor particle_direction(Particles kind, const Tensor& all, const Tensor& scores, double bandwidth) {
  const std::int64_t n = all.dim(0);
  const Shape flat{n, all.size() / std::max<std::int64_t>(n, 1)};
  const Tensor x = reshape(all, flat), score = reshape(scores, flat), K = kernel(x, bandwidth);
  const Tensor push = repulsion(K, x, bandwidth), mass = sum_to(K, {n, 1});
  if (kind == Particles::svgd) return reshape(product(K, score) + push, all.shape());
  if (kind == Particles::gfsf) return reshape(score + solve(K, push), all.shape());
  Tensor flow = score + push / broadcast_to(mass, flat);
  if (kind == Particles::blob) {
    const Tensor weighed = K / permute(broadcast_to(mass, {n, n}), {1, 0});  // K_ij / r_j
    flow = flow + repulsion(weighed, x, bandwidth);
  }
  return reshape(flow, all.shape());
}

}  // namespace costate
