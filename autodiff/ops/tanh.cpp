// y = tanh x, elementwise
#include "autodiff/ops/tanh.h"

#include "autodiff/apply.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/scale.h"
#include "core/kernels/tanh.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "tanh";
  static constexpr bool slope_reads_output = true;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    tanh_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor slope(const Tensor&, const Tensor& y) const { return add_scalar(scale(mul(y, y), -1), 1); }
};

}  // namespace

Tensor tanh(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
