// Reading configurations: sizes are bounded, so that a wrong one is a message and not an endless network;
// options nobody knows are refused.
#pragma once

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/config.h"

namespace costate {

constexpr std::int64_t most_of_anything = 1 << 20;
constexpr std::int64_t most_in_a_row = 1024;
constexpr std::size_t most_levels = 16;

[[nodiscard]] inline bool is_size(std::int64_t n) { return n >= 1 && n <= most_of_anything; }

/// The integer under `key`, from `least` to a million.
[[nodiscard]] inline std::int64_t size_from(const Config& config, const std::string& key, std::int64_t otherwise,
                                            std::int64_t least = 1, std::int64_t most = most_of_anything) {
  const std::int64_t n = config.integer(key, otherwise);
  if (n < least || n > most) config.unsupported(key, fmt::format("wants {} to {}", least, most));
  return n;
}

/// How many layers or blocks follow one another: from `least` to a thousand.
[[nodiscard]] inline std::int64_t count_from(const Config& config, const std::string& key, std::int64_t otherwise,
                                             std::int64_t least = 1) {
  return size_from(config, key, otherwise, least, most_in_a_row);
}

/// A list of positive sizes, one a level; `otherwise` where the key is absent.
[[nodiscard]] inline std::vector<std::int64_t> sizes_from(const Config& config, const std::string& key,
                                                          const std::vector<std::int64_t>& otherwise = {}) {
  std::vector<std::int64_t> all = config.integers(key);
  if (all.empty()) all = otherwise;
  const bool fits = std::all_of(all.begin(), all.end(), is_size);
  if (all.empty() || all.size() > most_levels || !fits)
    config.unsupported(key, fmt::format("wants 1 to {} levels of positive numbers", most_levels));
  return all;
}

/// Height and width under `key`, from one number for both or a list of the two; `otherwise` where the key is absent.
[[nodiscard]] inline std::pair<std::int64_t, std::int64_t> sides_from(const Config& config, const std::string& key,
                                                                      std::pair<std::int64_t, std::int64_t> otherwise) {
  const auto given = config.integers(key);
  if (given.empty()) return otherwise;
  if (given.size() > 2 || !is_size(given.front()) || !is_size(given.back()))
    config.unsupported(key, "wants one size, or height and width");
  return {given.front(), given.back()};
}

/// One entry a level, from one for all or a list of as many.
template <class T>
[[nodiscard]] std::vector<T> each_level(const Config& config, const std::string& key, std::vector<T> given,
                                        std::size_t levels) {
  if (given.size() == 1 && config.extents(key).empty()) given.assign(levels, T(given[0]));
  if (given.size() != levels) config.unsupported(key, fmt::format("wants one, or one for each of {} levels", levels));
  return given;
}

/// The same of positive sizes; `otherwise` where the key is absent.
[[nodiscard]] inline std::vector<std::int64_t> sizes_each_level(const Config& config, const std::string& key,
                                                                std::int64_t otherwise, std::size_t levels,
                                                                std::int64_t most = most_of_anything) {
  auto given = config.integers(key);
  if (given.empty()) given = {otherwise};
  for (const auto each : given)
    if (each < 1 || each > most) config.unsupported(key, fmt::format("wants 1 to {}", most));
  return each_level(config, key, given, levels);
}

/// What the name under `key` stands for; `otherwise` is the name where the key is absent.
template <class T>
[[nodiscard]] T meaning_of(const Config& config, const std::string& key, const std::string& otherwise,
                           const std::vector<std::pair<std::string, T>>& meanings) {
  std::vector<std::string> names;
  for (const auto& [name, meaning] : meanings) names.push_back(name);
  const std::string given = config.choice(key, otherwise, names);
  return std::find_if(meanings.begin(), meanings.end(), [&](const auto& each) { return each.first == given; })->second;
}

/// Throws, naming the nearest, for a key that is neither costate's own nor one of `known`, which blanks separate. They have what
/// changes nothing here, too: dropout, precision, training.
inline void refuse_unknown(const Config& config, const std::string& known) {
  std::istringstream text(known + " family prediction schedule sampling scheduler");
  const std::vector<std::string> names{std::istream_iterator<std::string>(text), {}};
  for (const auto& key : config.keys())
    if (key.rfind('_', 0) != 0 && std::find(names.begin(), names.end(), key) == names.end())
      fail_unknown("option in " + config.where(), key, names);
}

}  // namespace costate
