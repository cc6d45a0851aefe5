// Linear op: y = c x.
#include "autodiff/ops/scale.h"

#include "autodiff/apply.h"
#include "core/kernels/scale.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "scale";
  double c;

  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    scale_kernel(x.device(), c, x, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors&, int) const { return scale(g, c); }
};

}  // namespace

Tensor scale(const Tensor& x, double c) { return c == 1 ? x : apply_op(Op{c}, {x}); }

}  // namespace costate
