// Linear op: concat.
#include "autodiff/ops/concat.h"

#include "autodiff/apply.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/slice.h"
#include "core/kernels/concat.h"

namespace costate {
namespace {

/// Bytes from which a cotangent is cut into copies: its slices keep it alive, a skip connection's for long, and a launch less is nothing then.
constexpr std::size_t large = std::size_t{4} << 20;

struct Op {
  static constexpr const char* name = "concat";
  int axis;

  [[nodiscard]] Tensor forward(const Tensors& parts) const {
    std::int64_t total = 0;
    for (const auto& p : parts) {
      require_same_kind(name, parts[0], p);
      require(p.rank() == parts[0].rank() && p.shape().with(axis, 0) == parts[0].shape().with(axis, 0),
              "{}: {} and {} differ outside axis {}", name, parts[0].shape(), p.shape(), axis);
      total += p.dim(axis);
    }
    const Shape shape = parts[0].shape().with(axis, total);
    std::int64_t lines = 1;
    for (int i = 0; i < axis; ++i) lines *= shape[i];
    if (Tensor view = Tensor::spanning(parts, lines, shape); view.defined()) return view;
    Tensor y = Tensor::empty(shape, parts[0].kind());
    concat_kernel(y.device(), parts, lines, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors& in, int which) const {
    std::int64_t first = 0;
    for (int i = 0; i < which; ++i) first += in[static_cast<std::size_t>(i)].dim(axis);
    const Tensor part = slice(g, axis, first, in[static_cast<std::size_t>(which)].dim(axis));
    return g.is_ghost() || g.bytes() < large ? part : part.dense();
  }
};

}  // namespace

Tensor concat(const Tensors& parts, int axis) {
  require(!parts.empty(), "concat: nothing to join");
  return parts.size() == 1 ? parts[0] : apply_op(Op{parts[0].shape().axis(axis, Op::name)}, parts);
}

Tensor stacked(const Tensors& parts) {
  Tensors rows;
  for (const Tensor& t : parts) rows.push_back(reshape(t, t.shape().with_front(1)));
  return rows.empty() ? Tensor() : concat(rows, 0);
}

}  // namespace costate
