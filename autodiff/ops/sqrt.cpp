// y = the square root of x, elementwise
#include "autodiff/ops/sqrt.h"

#include "autodiff/apply.h"
#include "autodiff/ops/reciprocal.h"
#include "autodiff/ops/scale.h"
#include "core/kernels/sqrt.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "sqrt";
  static constexpr bool slope_reads_output = true;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    sqrt_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor slope(const Tensor&, const Tensor& y) const { return scale(reciprocal(y), 0.5); }
};

}  // namespace

Tensor sqrt(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
