// Composite op: softmax, with fused kernels; log_sum_exp as a composition.
#include "autodiff/ops/softmax.h"

#include "autodiff/apply.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/log.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reciprocal.h"
#include "autodiff/ops/sum.h"
#include "core/kernels/copy.h"
#include "core/kernels/reduce.h"
#include "core/kernels/softmax.h"

namespace costate {
namespace {

struct MaxLast {
  static constexpr const char* name = "max_last";
  static constexpr bool flat = true;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    static_cast<void>(x.shape().axis(-1, name));
    require(is_floating(x.dtype()), "{}: wants a floating dtype, got {}", name, name_of(x.dtype()));
    require(x.dim(-1) > 0, "{}: the last axis of {} is empty", name, x.shape());
    const Tensor u = to_compute(x);
    Tensor y = Tensor::empty(u.shape().with(-1, 1), u.kind());
    max_last_kernel(u.device(), u, y);
    return to_stored(y, x.dtype());
  }
};

struct Softmax {
  static constexpr const char* name = "softmax";

  // The shift by the maximum changes nothing in exact arithmetic, so it may be a constant to the derivative.
  [[nodiscard]] Tensor spec(const Tensor& x) const {
    const Tensor e = exp(sub(x, max_last(x)));
    return mul(e, reciprocal(sum_to(e, x.shape().with(-1, 1))));
  }
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    const Tensor u = to_compute(x);
    Tensor y = Tensor::empty(u.shape(), u.kind());
    softmax_kernel(u.device(), u, y);
    return to_stored(y, x.dtype());
  }
  [[nodiscard]] Tensors fast_vjp(const Tensors& in, const Tensor& g, const Wanted&) const {
    const Tensor y = to_compute(forward(in[0])), h = to_compute(g);
    Tensor dx = Tensor::empty(y.shape(), y.kind());
    softmax_vjp_kernel(y.device(), y, h, dx);
    return {to_stored(dx, g.dtype())};
  }
};

}  // namespace

Tensor softmax(const Tensor& x) {
  static_cast<void>(x.shape().axis(-1, Softmax::name));
  return apply_op(Softmax{}, {x});
}
Tensor max_last(const Tensor& x) { return apply_op(MaxLast{}, {x}); }

Tensor log_sum_exp(const Tensor& x) {
  require(x.rank() > 0 && is_floating(x.dtype()) && x.dim(-1) > 0, "log_sum_exp: wants floating rows, got {} {}",
          name_of(x.dtype()), x.shape());
  const Tensor top = max_last(x);
  return add(log(sum_to(exp(sub(x, top)), top.shape())), top);
}

}  // namespace costate
