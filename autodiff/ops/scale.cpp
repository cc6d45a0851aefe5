// Linear op: y = c x.
#include "autodiff/ops/scale.h"

#include "autodiff/apply.h"
#include "core/kernels/binary.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "scale";
  double c;

  [[nodiscard]] Tensor forward(const Tensor& x) const {
    require(is_floating(x.dtype()), "{}: wants a floating dtype, got {}", name, name_of(x.dtype()));
    Tensor y = Tensor::empty(x.shape(), x.kind());
    const Tensor factor =
        Tensor::full(Shape(std::vector<std::int64_t>(static_cast<std::size_t>(x.rank()), 1)), c, x.kind());
    mul_kernel(x.device(), x, factor, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors&, int) const { return scale(g, c); }
};

}  // namespace

Tensor scale(const Tensor& x, double c) { return c == 1 ? x : apply_op(Op{c}, {x}); }

}  // namespace costate
