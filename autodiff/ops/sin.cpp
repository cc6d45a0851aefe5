// y = sin x, elementwise
#include "autodiff/ops/sin.h"

#include "autodiff/apply.h"
#include "autodiff/ops/cos.h"
#include "core/kernels/sin.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "sin";
  static constexpr bool slope_reads_output = false;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    sin_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor slope(const Tensor& x, const Tensor&) const { return cos(x); }
};

}  // namespace

Tensor sin(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
