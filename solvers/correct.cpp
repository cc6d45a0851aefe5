// Clipping as two rectifiers; the threshold of each sample from one or two of its magnitudes.
#include "solvers/correct.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/rows.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/spec.h"

namespace costate {
namespace {

Tensor clipped(const Tensor& x, double range) { return relu(x + range) - relu(x - range) - range; }

/// A quantile as a combination of two entries of the list.
struct Quantile {
  std::array<std::size_t, 2> entries{};
  std::array<double, 2> weights{};
  double value = 0;
};

/// Of the magnitudes of values, linear between neighbours in size (as numpy and torch have it): with q_k the k-th smallest |v|
/// and place = ratio (n - 1) = k + f, it is (1 - f) q_k + f q_(k+1), whose derivative in v goes to those two, with their signs.
Quantile quantile_of_magnitudes(const double* values, std::size_t count, double ratio) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const auto smaller = [values](std::size_t a, std::size_t b) { return std::abs(values[a]) < std::abs(values[b]); };
  const double place = ratio * static_cast<double>(count - 1), part = place - std::floor(place);
  const auto kth = order.begin() + static_cast<std::ptrdiff_t>(place);
  std::nth_element(order.begin(), kth, order.end(), smaller);
  const std::size_t k = *kth, next = kth + 1 == order.end() ? k : *std::min_element(kth + 1, order.end(), smaller);
  const double a = values[k], b = values[next];
  return {.entries = {k, next},
          .weights = {std::copysign(1 - part, a), std::copysign(part, b)},
          .value = std::abs(a) + part * (std::abs(b) - std::abs(a))};
}

/// The threshold of each sample, (n, 1 ...): the quantile, kept between 1 and `most`, where it is a number.
Tensor thresholds(const Tensor& x_0, double ratio, double most) {
  const std::vector<double> all = stop_gradient(x_0).to_vector();
  const auto n = static_cast<std::size_t>(x_0.dim(0)), row = n == 0 ? 0 : all.size() / n;
  std::vector<double> entries, weights, bounds;
  for (std::size_t i = 0; i < n; ++i) {
    const Quantile q = quantile_of_magnitudes(all.data() + i * row, row, ratio);
    const bool inside = q.value > 1 && q.value < most;
    for (std::size_t k = 0; k < 2; ++k) {
      entries.push_back(static_cast<double>(i * row + q.entries[k]));
      weights.push_back(inside ? q.weights[k] : 0);
    }
    bounds.push_back(inside ? 0 : std::clamp(q.value, 1.0, most));
  }
  const Kind kind = x_0.kind();
  const std::int64_t rows = x_0.dim(0);
  const Tensor index = Tensor::from(entries, {2 * rows}, Kind{DType::i32, kind.device});
  const Tensor picked = reshape(gather_rows(reshape(x_0, {x_0.size(), 1}), index), {rows, 2});
  const Tensor s =
      sum_to(picked * Tensor::from(weights, {rows, 2}, kind), {rows, 1}) + Tensor::from(bounds, {rows, 1}, kind);
  return reshape(s, Shape(std::vector<std::int64_t>(static_cast<std::size_t>(x_0.rank()), 1)).with(0, rows));
}

}  // namespace

Correction clipping(double range) {
  require(range > 0, "clipping: range = {} should be positive", range);
  return [range](const Tensor& x_0, const Level&) { return clipped(x_0, range); };
}

Correction dynamic_thresholding(double ratio, double most) {
  require(ratio > 0 && ratio <= 1 && most >= 1,
          "dynamic thresholding: ratio = {} should be in (0, 1], most = {} at least 1", ratio, most);
  return [ratio, most](const Tensor& x_0, const Level&) { return clipped(x_0 / thresholds(x_0, ratio, most), 1); };
}

Correction correction_from(const std::string& spec) {
  const auto [name, options] = parse_spec("correction", spec);
  if (name == "clip") {
    check_options("correction clip", options, {"range"});
    return clipping(options.number("range", 1));
  }
  if (name == "threshold") {
    check_options("correction threshold", options, {"ratio", "most"});
    return dynamic_thresholding(options.number("ratio", 0.995), options.number("most", 1e300));
  }
  if (name != "none") fail_unknown("correction", name, {"clip", "threshold", "none"});
  check_options("correction none", options, {});
  return nullptr;
}

}  // namespace costate
