// y = cos x, elementwise
#include "autodiff/ops/cos.h"

#include "autodiff/apply.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sin.h"
#include "core/kernels/cos.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "cos";
  static constexpr bool slope_reads_output = false;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    cos_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor slope(const Tensor& x, const Tensor&) const { return scale(sin(x), -1); }
};

}  // namespace

Tensor cos(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
