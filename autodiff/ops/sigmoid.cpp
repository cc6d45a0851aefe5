// y = 1 / (1 + e^-x), elementwise
#include "autodiff/ops/sigmoid.h"

#include "autodiff/apply.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/scale.h"
#include "core/kernels/sigmoid.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "sigmoid";
  static constexpr bool slope_reads_output = true;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    sigmoid_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor slope(const Tensor&, const Tensor& y) const { return mul(y, add_scalar(scale(y, -1), 1)); }
};

}  // namespace

Tensor sigmoid(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
