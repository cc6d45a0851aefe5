// Linear op: permute.
#include "autodiff/ops/permute.h"

#include <fmt/ranges.h>

#include "autodiff/apply.h"
#include "core/kernels/copy.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "permute";
  std::vector<int> order;

  [[nodiscard]] Tensor forward(const Tensor& x) const {
    std::vector<bool> seen(order.size());
    bool ok = static_cast<int>(order.size()) == x.rank();
    for (const int axis : order) {
      ok = ok && axis >= 0 && axis < x.rank() && !seen[static_cast<std::size_t>(axis)];
      if (ok) seen[static_cast<std::size_t>(axis)] = true;
    }
    require(ok, "{}: ({}) is not an order of the axes of {}", name, fmt::join(order, ", "), x.shape());
    const auto from = row_major_steps(x.shape());
    CopyBox box{.rank = x.rank()};
    std::vector<std::int64_t> dims;
    for (std::size_t i = 0; i < order.size(); ++i) {
      dims.push_back(x.dim(order[i]));
      box.extent[i] = dims.back();
      box.from_step[i] = from[static_cast<std::size_t>(order[i])];
    }
    Tensor y = Tensor::empty(Shape(dims), x.kind());
    box.to_step = row_major_steps(y.shape());
    copy_kernel(x.device(), box, x, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors&, int) const {
    std::vector<int> inverse(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) inverse[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
    return permute(g, inverse);
  }
};

}  // namespace

Tensor permute(const Tensor& x, const std::vector<int>& order) { return apply_op(Op{order}, {x}); }

}  // namespace costate
