// Groups of rows, and how large they are.
#include "nn/by_rows.h"

#include <algorithm>
#include <mutex>

#include "autodiff/by_groups.h"
#include "autodiff/ops/slice.h"
#include "autodiff/trace.h"
#include "core/kernel.h"
#include "core/kernels/matmul.h"
#include "nn/wrapped.h"

namespace costate {
namespace {

/// Elements that the largest tensor between two layers may have. On the host: with its neighbours, and a transform of it, it takes a
/// share of the last cache; less where the weights, which every group goes past, are few: time is the same there, and memory a third.
/// On a device: as many as fill the chip, 32 images of cifar10 where products are multiply-adds and 256 on tensor cores, so that
/// larger batches take no more memory.
std::int64_t most_elements(const Network& network, const Tensor& x) {
  if (x.device() != Device::cpu) {
    const bool tensor_cores =
        x.dtype() == DType::bf16 || (x.dtype() == DType::f32 && products_in_f32() == Products::tf32);
    return std::int64_t{12} << (tensor_cores ? 23 : 20);
  }
  std::size_t weights = 0;
  for (const auto& each : network.parameters()) weights += each.value.bytes();
  return static_cast<std::int64_t>(std::clamp(weights / 4, std::size_t{2} << 20, std::size_t{6} << 20) /
                                   size_of(x.dtype()));
}

/// Elements of the largest tensor between two layers.
std::int64_t largest_elements(const Network& network, Inputs in) {
  for (Tensor* t : {&in.x, &in.z})
    if (t->defined()) *t = stop_gradient(*t);
  for (auto& [name, value] : in.extra) value = stop_gradient(value);
  const DryRun shapes_only;
  const auto f = [&](const Tensors& x) {
    in.x = x[0];
    return Tensors{network(in)};
  };
  std::int64_t most = in.x.size();
  for (const Applied& op : trace(f, {in.x}).ops)
    for (const Tensor& out : op.out) most = std::max(most, out.size());
  return most;
}

class ByRows final : public Wrapped {
 public:
  ByRows(std::shared_ptr<const Network> network, std::int64_t most) : Wrapped(std::move(network)), most_(most) {}

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
      const Inputs one_row = rows_of(in, 0, 1);
      const std::int64_t most = most_ > 0 ? most_ : most_elements(network(), one_row.x);
      each_ = std::max<std::int64_t>(1, most / largest_elements(network(), one_row));
      seen_ = row;
    }
    const std::int64_t groups = (rows + each_ - 1) / each_;
    return (rows + groups - 1) / groups;  // of one size as far as they can be: a device records each
  }

 private:
  [[nodiscard]] std::shared_ptr<const Network> wrap(std::shared_ptr<const Network> network) const override {
    return by_rows(std::move(network), most_);
  }

  std::int64_t most_;  ///< elements; 0: by the rule
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

std::shared_ptr<const Network> by_rows(std::shared_ptr<const Network> network, std::int64_t most) {
  return std::make_shared<const ByRows>(std::move(network), most);
}

}  // namespace costate
