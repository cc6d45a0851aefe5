// Groups in order, then what they gave as one.
#include "autodiff/by_groups.h"

#include <algorithm>
#include <numeric>

#include "autodiff/ops/add.h"
#include "autodiff/ops/concat.h"

namespace costate {
namespace {

Tensor joined(const Tensors& parts, int axis) {
  if (!parts.front().defined()) return {};
  if (axis >= 0) return concat(parts, axis);
  return std::accumulate(parts.begin() + 1, parts.end(), parts.front(),
                         [](const Tensor& a, const Tensor& b) { return add(a, b); });
}

}  // namespace

Tensors by_groups(std::int64_t rows, std::int64_t each, const std::vector<int>& axes,
                  const std::function<Tensors(std::int64_t first, std::int64_t count)>& f) {
  require(each > 0, "groups of {} rows", each);
  if (each >= rows) return f(0, rows);
  std::vector<Tensors> parts(axes.size());  // of each tensor
  for (std::int64_t first = 0; first < rows; first += each) {
    const Tensors group = f(first, std::min(each, rows - first));
    require(group.size() == axes.size(), "groups of rows: {} tensors came of one, {} are joined", group.size(),
            axes.size());
    for (std::size_t i = 0; i < group.size(); ++i) parts[i].push_back(group[i]);
  }
  Tensors all;
  for (std::size_t i = 0; i < axes.size(); ++i) all.push_back(joined(parts[i], axes[i]));
  return all;
}

}  // namespace costate
