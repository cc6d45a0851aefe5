// Bilinear op: y = a b, elementwise.
#include "autodiff/ops/mul.h"

#include "autodiff/apply.h"
#include "autodiff/ops/sum.h"
#include "core/kernels/binary.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "mul";

  [[nodiscard]] Tensor forward(const Tensor& a, const Tensor& b) const {
    require_same_kind(name, a, b);
    require(is_floating(a.dtype()), "{}: wants a floating dtype, got {}", name, name_of(a.dtype()));
    Tensor y = Tensor::empty(stretched(name, a.shape(), b.shape()), a.kind());
    mul_kernel(a.device(), a, b, y);
    return y;
  }
  [[nodiscard]] Tensor wrt0(const Tensor& g, const Tensor& b, const Tensor& a) const {
    return sum_to(mul(g, b), a.shape());
  }
  [[nodiscard]] Tensor wrt1(const Tensor& g, const Tensor& a, const Tensor& b) const {
    return sum_to(mul(g, a), b.shape());
  }
};

}  // namespace

Tensor mul(const Tensor& a, const Tensor& b) { return apply_op(Op{}, {a, b}); }
Tensor detail::multiply(const Tensor& a, const Tensor& b) { return mul(a, b); }

}  // namespace costate
