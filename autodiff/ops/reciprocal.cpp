// y = 1 / x, elementwise
#include "autodiff/ops/reciprocal.h"

#include "autodiff/apply.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/scale.h"
#include "core/kernels/reciprocal.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "reciprocal";
  static constexpr bool slope_reads_output = true;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    reciprocal_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor slope(const Tensor&, const Tensor& y) const { return scale(mul(y, y), -1); }
};

}  // namespace

Tensor reciprocal(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
