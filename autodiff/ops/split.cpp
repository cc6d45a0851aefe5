// Linear op of several results: split.
#include "autodiff/ops/split.h"

#include <numeric>

#include "autodiff/apply.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/slice.h"

namespace costate {
namespace {

using Counts = std::vector<std::int64_t>;

class SplitRule final : public Rule {
 public:
  SplitRule(int axis, const Counts& counts) : axis_(axis), counts_(counts) {}
  [[nodiscard]] const char* name() const override { return "split"; }
  [[nodiscard]] Wanted reads(const Wanted&) const override { return {false, false}; }
  [[nodiscard]] Tensors vjp(const Tensors&, const Tensors& out, const Tensors& g, const Wanted&,
                            Tensors&) const override {
    Tensors all = g;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (!all[i].defined()) all[i] = Tensor::zeros(out[i].shape(), out[i].kind());
    return {concat(all, axis_)};
  }
  [[nodiscard]] Tensors jvp(const Tensors&, const Tensors& out, const Tensors& v) const override {
    return v[0].defined() ? split(v[0], axis_, counts_) : Tensors(out.size());
  }

 private:
  int axis_;
  Counts counts_;
};

}  // namespace

Tensors split(const Tensor& x, int axis, const Counts& counts) {
  require(x.defined(), "split: an operand is undefined");
  const int along = x.shape().axis(axis, "split");
  require(!counts.empty() && std::accumulate(counts.begin(), counts.end(), std::int64_t{0}) == x.dim(along),
          "split: the parts are not axis {} of {}", along, x.shape());
  if (counts.size() == 1) return {x};
  Tensors parts;
  {
    const ActiveLevels none(0);
    std::int64_t first = 0;
    for (const std::int64_t count : counts) {
      parts.push_back(slice(x, along, first, count));
      first += count;
    }
  }
  return watched({x}) ? note(std::make_shared<const SplitRule>(along, counts), {x}, std::move(parts)) : parts;
}

}  // namespace costate
