// Composite op: silu, with fused kernels for its value and first derivative.
#include "autodiff/ops/silu.h"

#include "autodiff/apply.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/sigmoid.h"
#include "core/kernels/copy.h"
#include "core/kernels/silu.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "silu";

  [[nodiscard]] Tensor spec(const Tensor& x) const { return mul(x, sigmoid(x)); }
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    const Tensor u = to_compute(x);
    Tensor y = Tensor::empty(u.shape(), u.kind());
    silu_kernel(u.device(), u, y);
    return to_stored(y, x.dtype());
  }
  [[nodiscard]] Tensors fast_vjp(const Tensors& in, const Tensor& g, const Wanted&) const {
    const Tensor x = to_compute(in[0]), h = to_compute(g);
    Tensor dx = Tensor::empty(x.shape(), x.kind());
    silu_vjp_kernel(x.device(), x, h, dx);
    return {to_stored(dx, g.dtype())};
  }
};

}  // namespace

Tensor silu(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
