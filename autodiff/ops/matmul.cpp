// Bilinear op: batched matrix product, closed under differentiation.
#include "autodiff/ops/matmul.h"

#include "autodiff/apply.h"
#include "autodiff/ops/sum.h"
#include "core/flops.h"
#include "core/kernels/matmul.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "matmul";
  bool ta, tb;

  [[nodiscard]] Tensor forward(const Tensor& a, const Tensor& b) const {
    require_same_kind(name, a, b);
    require(a.rank() == 3 && b.rank() == 3 && (b.dim(0) == a.dim(0) || b.dim(0) == 1),
            "{}: wants (batch, m, k) and (batch or 1, k, n), got {} and {}", name, a.shape(), b.shape());
    const auto k = ta ? a.dim(1) : a.dim(2);
    require(k == (tb ? b.dim(2) : b.dim(1)), "{}: {}{} and {}{} do not chain", name, a.shape(), ta ? "^T" : "",
            b.shape(), tb ? "^T" : "");
    Tensor c = Tensor::empty({a.dim(0), ta ? a.dim(2) : a.dim(1), tb ? b.dim(1) : b.dim(2)}, a.kind());
    count_products(c.size(), k);
    matmul_kernel(a.device(), ta, tb, a, b, {}, {}, c);
    return c;
  }
  // c = op(a) op(b):  d op(a) = g op(b)^T,  d op(b) = op(a)^T g; a shared factor sums over the batch.
  [[nodiscard]] Tensor wrt0(const Tensor& g, const Tensor& b, const Tensor& a) const {
    if (!ta) return matmul(g, b, false, !tb);
    return b.dim(0) == a.dim(0) ? matmul(b, g, tb, true)
                                : matmul(broadcast_to(b, b.shape().with(0, a.dim(0))), g, tb, true);
  }
  [[nodiscard]] Tensor wrt1(const Tensor& g, const Tensor& a, const Tensor& b) const {
    return sum_to(tb ? matmul(g, a, true, ta) : matmul(a, g, !ta, false), b.shape());
  }
};

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  return apply_op(Op{transpose_a, transpose_b}, {a, b});
}

}  // namespace costate
