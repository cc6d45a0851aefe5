// Clipping as two rectifiers; the threshold of each sample from its sorted magnitudes.
#include "solvers/correct.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/relu.h"
#include "autodiff/transform.h"
#include "core/spec.h"

namespace costate {
namespace {

Tensor clipped(const Tensor& x, double range) { return relu(x + range) - relu(x - range) - range; }

/// Quantile of sorted values, linear between them (as numpy and torch have it).
double quantile(const std::vector<double>& sorted, double ratio) {
  const double place = ratio * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Correction clipping(double range) {
  require(range > 0, "clipping: range = {} should be positive", range);
  return [range](const Tensor& x_0, const Level&) { return clipped(x_0, range); };
}

Correction dynamic_thresholding(double ratio, double most) {
  require(ratio > 0 && ratio <= 1 && most >= 1,
          "dynamic thresholding: ratio = {} should be in (0, 1], most = {} at least 1", ratio, most);
  return [ratio, most](const Tensor& x_0, const Level&) {
    auto all = stop_gradient(x_0).to_vector();
    for (double& v : all) v = std::abs(v);
    const std::int64_t n = x_0.dim(0), row = x_0.size() / std::max<std::int64_t>(n, 1);
    std::vector<double> inverse;
    for (std::int64_t i = 0; i < n; ++i) {
      std::vector<double> sample(all.begin() + i * row, all.begin() + (i + 1) * row);
      std::sort(sample.begin(), sample.end());
      inverse.push_back(1 / std::clamp(quantile(sample, ratio), 1.0, most));
    }
    std::vector<std::int64_t> extents(static_cast<std::size_t>(x_0.rank()), 1);
    extents[0] = n;
    return clipped(x_0 * Tensor::from(inverse, Shape(extents.data(), extents.data() + extents.size()), x_0.kind()), 1);
  };
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
