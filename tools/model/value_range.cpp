// Data in the range of another model.
#include "tools/model/value_range.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/arithmetic.h"

namespace costate {
namespace {

double at(const std::vector<double>& values, std::size_t channel) {
  return values.size() == 1 ? values[0] : values[channel];
}

}  // namespace

ValueRange ValueRange::from(const Config& config, const std::string& key) {
  const auto shape = config.extents(key);
  if (shape.empty()) return {};
  const auto v = config.numbers(key);
  const bool fits = shape[0] == 2 && shape.size() <= 2 && v.size() >= 2 && v.size() % 2 == 0;
  if (!fits) config.unsupported(key, "wants [low, high] or [[low of each channel], [high of each]]");
  const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  ValueRange r{{v.begin(), middle}, {middle, v.end()}};
  for (std::size_t i = 0; i < r.low.size(); ++i)
    if (r.low[i] == r.high[i]) config.unsupported(key, "low and high should differ");
  return r;
}

Tensor ValueRange::convert(const Tensor& x, const ValueRange& to) const {
  if (*this == to) return x;
  const auto channels = std::max(low.size(), to.low.size());
  std::vector<double> scales, shifts;
  for (std::size_t i = 0; i < channels; ++i) {
    const double scale = (at(to.high, i) - at(to.low, i)) / (at(high, i) - at(low, i));
    scales.push_back(scale);
    shifts.push_back(at(to.low, i) - at(low, i) * scale);
  }
  const auto count = static_cast<std::int64_t>(channels);
  require(channels == 1 || x.dim(-1) == count, "range: {} channels for data {}", channels, x.shape());
  const Shape last = Shape(std::vector<std::int64_t>(static_cast<std::size_t>(x.rank()), 1)).with(-1, count);
  return x * Tensor::from(scales, last, x.kind()) + Tensor::from(shifts, last, x.kind());
}

double ValueRange::gain(const ValueRange& to) const {
  const auto channels = std::max(low.size(), to.low.size());
  const auto each = [&](std::size_t i) { return (at(to.high, i) - at(to.low, i)) / (at(high, i) - at(low, i)); };
  for (std::size_t i = 1; i < channels; ++i)
    if (each(i) != each(0)) return 0;
  return std::abs(each(0));
}

}  // namespace costate
