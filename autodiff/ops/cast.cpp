// Linear op: cast.
#include "autodiff/ops/cast.h"

#include "autodiff/apply.h"
#include "core/kernels/copy.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "cast";
  DType dtype;

  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind().with(dtype));
    cast_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors& in, int) const { return cast(g, in[0].dtype()); }
};

}  // namespace

Tensor cast(const Tensor& x, DType dtype) { return x.dtype() == dtype ? x : apply_op(Op{dtype}, {x}); }

}  // namespace costate
