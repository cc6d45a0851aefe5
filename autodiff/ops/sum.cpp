// Linear ops: sum_to and broadcast_to, each the other's transpose.
#include "autodiff/ops/sum.h"

#include "autodiff/apply.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "core/kernels/copy.h"
#include "core/kernels/reduce.h"

namespace costate {
namespace {

/// Throws unless `small` is `large` with some extents replaced by 1, and holds anything: kernels walk axes by dividing by extents,
/// and an empty tensor this far in (an input without tokens, pixels, rows) is a mistake further out.
void check_stretch(const char* name, const Shape& small, const Shape& large) {
  require(small.size() > 0 && large.size() > 0, "{}: {} against {}: one of them holds nothing", name, small, large);
  bool ok = small.rank() == large.rank();
  for (int i = 0; ok && i < large.rank(); ++i) ok = small[i] == large[i] || small[i] == 1;
  require(ok, "{}: {} does not stretch to {}", name, small, large);
}

struct SumTo {
  static constexpr const char* name = "sum_to";
  Shape shape;

  [[nodiscard]] Tensor forward(const Tensor& x) const {
    check_stretch(name, shape, x.shape());
    Tensor y = Tensor::empty(shape, x.kind());
    sum_to_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors& in, int) const {
    return broadcast_to(g, in[0].shape());
  }
};

struct BroadcastTo {
  static constexpr const char* name = "broadcast_to";
  Shape shape;

  [[nodiscard]] Tensor forward(const Tensor& x) const {
    check_stretch(name, x.shape(), shape);
    Tensor y = Tensor::empty(shape, x.kind());
    CopyBox box{.rank = shape.rank(), .from_step = row_major_steps(x.shape()), .to_step = row_major_steps(shape)};
    for (int i = 0; i < shape.rank(); ++i) {
      box.extent[static_cast<std::size_t>(i)] = shape[i];
      if (x.dim(i) == 1) box.from_step[static_cast<std::size_t>(i)] = 0;
    }
    copy_kernel(x.device(), box, x, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors& in, int) const { return sum_to(g, in[0].shape()); }
};

}  // namespace

Tensor sum_to(const Tensor& x, const Shape& shape) { return x.shape() == shape ? x : apply_op(SumTo{shape}, {x}); }
Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  return x.shape() == shape ? x : apply_op(BroadcastTo{shape}, {x});
}
Tensor sum(const Tensor& x) { return reshape(sum_to(reshape(x, {x.size()}), {1}), {}); }
Tensor mean(const Tensor& x) { return scale(sum(x), 1.0 / static_cast<double>(x.size())); }
Tensor inner(const Tensor& a, const Tensor& b) {
  require_same("inner", a, b);
  return sum(mul(a, b));
}

}  // namespace costate
