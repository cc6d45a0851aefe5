// y = max(x, 0), elementwise; slope 0 at 0
#include "autodiff/ops/relu.h"

#include "autodiff/apply.h"
#include "autodiff/ops/step.h"
#include "core/kernels/relu.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "relu";
  static constexpr bool slope_reads_output = false;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    relu_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor slope(const Tensor& x, const Tensor&) const { return step(x); }
};

}  // namespace

Tensor relu(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
