// Groups of rows, and how large they are.
#include "nn/by_rows.h"

#include <algorithm>
#include <mutex>

#include "autodiff/by_groups.h"
#include "autodiff/ops/slice.h"
#include "autodiff/trace.h"
#include "core/kernel.h"
#include "nn/wrapped.h"

namespace costate {
namespace {

/// What the largest tensor between two layers may take: with its neighbours, and a transform of it, a share of the last cache.
/// Less where the weights, which every group goes past, are few: time is the same there, and memory a third.
std::size_t most_bytes(const Network& network) {
  std::size_t weights = 0;
  for (const auto& each : network.parameters()) weights += each.value.bytes();
  return std::clamp(weights / 4, std::size_t{2} << 20, std::size_t{6} << 20);
}

/// Bytes of the largest tensor between two layers.
std::size_t largest_bytes(const Network& network, Inputs in) {
  for (Tensor* t : {&in.x, &in.z})
    if (t->defined()) *t = stop_gradient(*t);
  for (auto& [name, value] : in.extra) value = stop_gradient(value);
  const DryRun shapes_only;
  const auto f = [&](const Tensors& x) {
    in.x = x[0];
    return Tensors{network(in)};
  };
  std::size_t most = in.x.bytes();
  for (const Applied& op : trace(f, {in.x}).ops)
    for (const Tensor& out : op.out) most = std::max(most, out.bytes());
  return most;
}

class ByRows final : public Wrapped {
 public:
  using Wrapped::Wrapped;

  [[nodiscard]] Tensor operator()(const Inputs& in) const override {
    const std::int64_t rows = in.x.dim(0), each = rows_at_once(in);
    if (each >= rows) return network()(in);
    return by_groups(rows, each, {0}, [&](std::int64_t first, std::int64_t count) {
      return Tensors{network()(rows_of(in, first, count))};
    })[0];
  }

  [[nodiscard]] std::int64_t rows_at_once(const Inputs& in) const override {
    const std::int64_t rows = in.x.dim(0);
    if (rows <= 1 || DryRun::active()) return rows;
    const std::scoped_lock one(mutex_);
    if (const Shape row = in.x.shape().with(0, 1); row != seen_) {
      each_ = std::max<std::int64_t>(
          1, static_cast<std::int64_t>(most_bytes(network()) / largest_bytes(network(), rows_of(in, 0, 1))));
      seen_ = row;
    }
    return std::min(rows, each_);
  }

 private:
  [[nodiscard]] std::shared_ptr<const Network> wrap(std::shared_ptr<const Network> network) const override {
    return by_rows(std::move(network));
  }

  mutable std::mutex mutex_;
  mutable Shape seen_;  ///< of a row of x, for which each_ holds
  mutable std::int64_t each_ = 0;
};

}  // namespace

Inputs rows_of(const Inputs& in, std::int64_t first, std::int64_t count) {
  const std::int64_t rows = in.x.dim(0);
  Inputs out = in;
  for (auto* numbers : {&out.t, &out.alpha, &out.sigma}) {
    if (numbers->empty()) continue;
    const std::vector<double> all = per_row("times or levels", *numbers, rows);
    *numbers = {all.begin() + first, all.begin() + first + count};
  }
  const auto cut = [&](Tensor& t, const char* name) {
    if (!t.defined()) return;
    require(t.rank() > 0 && t.dim(0) == rows, "network: {} has shape {}, and x {} rows", name, t.shape(), rows);
    t = slice(t, 0, first, count);
  };
  cut(out.x, "x");
  cut(out.classes, "class");
  cut(out.z, "z");
  for (auto& [name, value] : out.extra) cut(value, name.c_str());
  return out;
}

std::shared_ptr<const Network> by_rows(std::shared_ptr<const Network> network) {
  return std::make_shared<const ByRows>(std::move(network));
}

}  // namespace costate
