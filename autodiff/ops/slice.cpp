// Linear ops: slice and pad, each the other's transpose.
#include "autodiff/ops/slice.h"

#include "autodiff/apply.h"
#include "core/kernels/copy.h"

namespace costate {
namespace {

struct Slice {
  static constexpr const char* name = "slice";
  int axis;
  std::int64_t first, count;

  [[nodiscard]] Tensor forward(const Tensor& x) const {
    require(first >= 0 && count >= 0 && first <= x.dim(axis) && count <= x.dim(axis) - first,
            "{}: {} from {} on are outside axis {} of {}", name, count, first, axis, x.shape());
    const std::int64_t step = row_major_steps(x.shape())[static_cast<std::size_t>(axis)];
    return x.strip(x.shape().with(axis, count), first * step, count * step, x.dim(axis) * step);
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors& in, int) const {
    return pad(g, axis, first, in[0].dim(axis) - first - count);
  }
};

struct Pad {
  static constexpr const char* name = "pad";
  int axis;
  std::int64_t before, after;

  [[nodiscard]] Tensor forward(const Tensor& x) const {
    require(before >= 0 && after >= 0, "{}: {} before and {} after; neither may be negative", name, before, after);
    Tensor y = Tensor::zeros(x.shape().with(axis, x.dim(axis) + before + after), x.kind());
    CopyBox box{.rank = x.rank(), .from_step = row_major_steps(x.shape()), .to_step = row_major_steps(y.shape())};
    for (int i = 0; i < x.rank(); ++i) box.extent[static_cast<std::size_t>(i)] = x.dim(i);
    box.to = before * box.to_step[static_cast<std::size_t>(axis)];
    copy_kernel(x.device(), box, x, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors& in, int) const {
    return slice(g, axis, before, in[0].dim(axis));
  }
};

}  // namespace

Tensor slice(const Tensor& x, int axis, std::int64_t first, std::int64_t count) {
  return apply_op(Slice{x.shape().axis(axis, Slice::name), first, count}, {x});
}

Tensor pad(const Tensor& x, int axis, std::int64_t before, std::int64_t after) {
  if (before == 0 && after == 0) return x;
  return apply_op(Pad{x.shape().axis(axis, Pad::name), before, after}, {x});
}

}  // namespace costate
