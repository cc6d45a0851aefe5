// Linear op: y = alpha a + beta b.
#include "autodiff/ops/add.h"

#include "autodiff/apply.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sum.h"
#include "core/kernels/binary.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "add";
  double alpha, beta;

  [[nodiscard]] Tensor forward(const Tensor& a, const Tensor& b) const {
    require_same_kind(name, a, b);
    require(is_floating(a.dtype()), "{}: wants a floating dtype, got {}", name, name_of(a.dtype()));
    Tensor y = Tensor::empty(stretched(name, a.shape(), b.shape()), a.kind());
    lincomb_kernel(a.device(), alpha, beta, a, b, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors& in, int i) const {
    return scale(sum_to(g, in[static_cast<std::size_t>(i)].shape()), i == 0 ? alpha : beta);
  }
};

}  // namespace

Tensor lincomb(double alpha, const Tensor& a, double beta, const Tensor& b) {
  return apply_op(Op{alpha, beta}, {a, b});
}
Tensor add(const Tensor& a, const Tensor& b) { return lincomb(1, a, 1, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return lincomb(1, a, -1, b); }

Tensor add_scalar(const Tensor& x, double c) {
  return add(x, Tensor::full(Shape(std::vector<std::int64_t>(static_cast<std::size_t>(x.rank()), 1)), c, x.kind()));
}

Tensor detail::sum_of(const Tensor& a, const Tensor& b) { return !a.defined() ? b : !b.defined() ? a : add(a, b); }

}  // namespace costate
