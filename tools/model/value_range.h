// What data of a model mean as pictures: which of its values are black and white.
#pragma once

#include <vector>

#include "core/config.h"
#include "core/tensor.h"

namespace costate {

/// The values that picture values 0 and 1 have in data, for all channels or channel by channel.
struct ValueRange {
  std::vector<double> low{-1}, high{1};

  bool operator==(const ValueRange&) const = default;

  /// From [low, high] or [[lows ...], [highs ...]] under `key`; [-1, 1] where it is absent.
  static ValueRange from(const Config& config, const std::string& key);

  /// (..., c) of this range, as it lies in another. Differentiable; x itself where they are the same.
  [[nodiscard]] Tensor convert(const Tensor& x, const ValueRange& to) const;
  /// How much larger values are in another range; 0 where channels differ in that.
  [[nodiscard]] double gain(const ValueRange& to) const;
};

/// Pictures themselves.
inline ValueRange unit_range() { return {{0}, {1}}; }

}  // namespace costate
