// y = 1 where x > 0, else 0: the slope of relu; no derivative of its own
#include "autodiff/ops/step.h"

#include "autodiff/apply.h"
#include "core/kernels/step.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "step";
  static constexpr bool flat = true;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    step_kernel(x.device(), x, y);
    return y;
  }
};

}  // namespace

Tensor step(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
