// A monotone list of numbers as a function of the index, linear between entries: what discrete schedules interpolate.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace costate {

class LinearTable {
 public:
  explicit LinearTable(std::vector<double> values) : values_(std::move(values)) {}  ///< two or more

  [[nodiscard]] std::size_t size() const { return values_.size(); }
  [[nodiscard]] double back() const { return values_.back(); }
  /// Entries come out as they are, whatever lies beside them.
  [[nodiscard]] double at(double t) const {
    const std::size_t i = segment(t);
    const double part = t - static_cast<double>(i);
    if (part == 0 || part == 1) return values_[i + static_cast<std::size_t>(part)];
    return values_[i] + part * (values_[i + 1] - values_[i]);
  }
  /// The slope of the segment that begins at t; of the last one at the end.
  [[nodiscard]] double slope(double t) const { return values_[segment(t) + 1] - values_[segment(t)]; }
  [[nodiscard]] double index_of(double value) const {
    const bool rises = values_.back() > values_.front();
    const auto before = [rises](double a, double b) { return rises ? a < b : a > b; };
    const auto above = std::lower_bound(values_.begin() + 1, values_.end() - 1, value, before);
    const auto i = static_cast<std::size_t>(above - values_.begin()) - 1;
    return static_cast<double>(i) + (value - values_[i]) / (values_[i + 1] - values_[i]);
  }

 private:
  /// i with i <= t <= i + 1; the first and the last segment go on outside.
  [[nodiscard]] std::size_t segment(double t) const {
    return static_cast<std::size_t>(std::clamp(std::floor(t), 0.0, static_cast<double>(values_.size() - 2)));
  }

  std::vector<double> values_;
};

}  // namespace costate
