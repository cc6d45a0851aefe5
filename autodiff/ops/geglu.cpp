// Composite op: GEGLU, with fused kernels for its value and first derivative.
#include "autodiff/ops/geglu.h"

#include "autodiff/apply.h"
#include "autodiff/ops/gelu.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/split.h"
#include "core/kernels/copy.h"
#include "core/kernels/geglu.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "geglu";

  [[nodiscard]] Tensor spec(const Tensor& x) const {
    const Tensors both = split(x, -1, {x.dim(-1) / 2, x.dim(-1) / 2});
    return mul(both[0], gelu(both[1]));
  }
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    const int last = x.shape().axis(-1, name);
    require(is_floating(x.dtype()), "{}: wants a floating dtype, got {}", name, name_of(x.dtype()));
    require(x.dim(last) % 2 == 0, "{}: wants two halves along the last axis of {}", name, x.shape());
    const Tensor u = to_compute(x);
    Tensor y = Tensor::empty(u.shape().with(last, x.dim(last) / 2), u.kind());
    geglu_kernel(u.device(), u, y);
    return to_stored(y, x.dtype());
  }
  [[nodiscard]] Tensors fast_vjp(const Tensors& in, const Tensor& g, const Wanted&) const {
    const Tensor x = to_compute(in[0]), h = to_compute(g);
    Tensor dx = Tensor::empty(x.shape(), x.kind());
    geglu_vjp_kernel(x.device(), x, h, dx);
    return {to_stored(dx, g.dtype())};
  }
};

}  // namespace

Tensor geglu(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
