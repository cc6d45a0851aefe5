// Bilinear op: rows by a weight matrix. A matrix product whose left factor is any batch of rows, so that no reshape is recorded.
#include "autodiff/ops/linear.h"

#include "autodiff/apply.h"
#include "autodiff/bias.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/reshape.h"
#include "core/flops.h"
#include "core/kernels/matmul.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "linear";
  bool transposed;

  [[nodiscard]] Shape result(const Tensor& x, const Tensor& w) const {
    require_same_kind(name, x, w);
    require(is_floating(x.dtype()), "{}: wants a floating dtype, got {}", name, name_of(x.dtype()));
    require(x.rank() >= 1 && w.rank() == 2 && x.dim(-1) == w.dim(transposed ? 1 : 0),
            "{}: wants (..., k) and {}, got {} and {}", name, transposed ? "(n, k)" : "(k, n)", x.shape(), w.shape());
    return x.shape().with(-1, w.dim(transposed ? 0 : 1));
  }
  [[nodiscard]] Tensor forward(const Tensors& in) const {
    const Tensor &x = in[0], &w = in[1];
    const Shape shape = result(x, w);
    const auto [bias, addend] = added_of(name, in, shape);
    Tensor y = Tensor::empty(as_matrix(shape), x.kind());
    count_products(y.size(), x.dim(-1));
    matmul_kernel(x.device(), false, transposed, x.reshaped(as_matrix(x.shape())), w.reshaped(w.shape().with_front(1)),
                  bias, addend.defined() ? addend.reshaped(y.shape()) : addend, y);
    return y.reshaped(shape);
  }
  [[nodiscard]] Tensor wrt0(const Tensor& g, const Tensor& w, const Tensor&, const Tensor& so_far) const {
    return linear(g, w, {}, so_far, !transposed);
  }
  [[nodiscard]] Tensor wrt1(const Tensor& g, const Tensor& x, const Tensor&) const {
    return transposed ? weight_cotangent(g, x) : weight_cotangent(x, g);
  }
};

void require_row(const Tensor& bias) {
  require(!bias.defined() || bias.rank() == 1, "linear: a bias {} should be one row", bias.shape());
}

}  // namespace

Shape as_matrix(const Shape& x) {
  std::int64_t rows = 1;
  for (int axis = 0; axis + 1 < x.rank(); ++axis) rows *= x[axis];
  return {1, rows, x[-1]};
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& addend, bool transposed) {
  require_row(bias);
  return apply_op(Op{transposed}, bilinear_inputs(x, w, {bias, addend}));
}

Tensor weight_cotangent(const Tensor& x, const Tensor& g) {
  const Tensor product = matmul(reshape(x, as_matrix(x.shape())), reshape(g, as_matrix(g.shape())), true);
  return reshape(product, {x.dim(-1), g.dim(-1)});
}

LinearTerm linear_term(const Tensor& x, const Tensor& w, const Tensor& bias) {
  const Op op{false};
  require_row(bias);
  const Shape shape = op.result(x, w);
  const Tensors in = bilinear_inputs(x, w, {bias, {}});
  (void)added_of(Op::name, in, shape);
  count_products(shape.size(), x.dim(-1));
  return {x, w, bias, tell(op, in, Tensor::ghost_of(shape, x.kind()))};
}

}  // namespace costate
