// y = ln x, elementwise
#include "autodiff/ops/log.h"

#include "autodiff/apply.h"
#include "autodiff/ops/reciprocal.h"
#include "core/kernels/log.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "log";
  static constexpr bool slope_reads_output = false;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    log_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor slope(const Tensor& x, const Tensor&) const { return reciprocal(x); }
};

}  // namespace

Tensor log(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
