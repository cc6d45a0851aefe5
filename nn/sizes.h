// Reading configurations: sizes are bounded, so that a wrong one is a message and not an endless network;
// options nobody knows are refused.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/config.h"

namespace costate {

constexpr std::int64_t most_of_anything = 1 << 20;
constexpr std::size_t most_levels = 16;

/// The integer under `key`, from `least` to a million.
[[nodiscard]] inline std::int64_t size_from(const Config& config, const std::string& key, std::int64_t otherwise,
                                            std::int64_t least = 1) {
  const std::int64_t n = config.integer(key, otherwise);
  if (n < least || n > most_of_anything)
    config.unsupported(key, fmt::format("wants {} to {}", least, most_of_anything));
  return n;
}

/// A list of positive sizes, one a level; `otherwise` where the key is absent.
[[nodiscard]] inline std::vector<std::int64_t> sizes_from(const Config& config, const std::string& key,
                                                          const std::vector<std::int64_t>& otherwise = {}) {
  std::vector<std::int64_t> all = config.integers(key);
  if (all.empty()) all = otherwise;
  const bool fits = std::all_of(all.begin(), all.end(), [](std::int64_t n) { return n >= 1 && n <= most_of_anything; });
  if (all.empty() || all.size() > most_levels || !fits)
    config.unsupported(key, fmt::format("wants 1 to {} levels of positive numbers", most_levels));
  return all;
}

/// Throws, naming the nearest, for a key that is neither in `known` nor costate's own. `known` has what changes nothing
/// here, too: dropout, precision, training.
inline void refuse_unknown(const Config& config, std::vector<std::string> known) {
  const std::vector<std::string> own = {"family", "prediction", "schedule", "sampling", "scheduler"};
  known.insert(known.end(), own.begin(), own.end());
  for (const auto& key : config.keys())
    if (key.rfind('_', 0) != 0 && std::find(known.begin(), known.end(), key) == known.end())
      fail_unknown(config.where() + ": option", key, known);
}

}  // namespace costate
