// Finding the family of a configuration.
#include "nn/family.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace costate {

std::function<std::string(const Config&, const KeyShapes&)> by_keys(std::vector<std::string> wanted,
                                                                    std::vector<std::string> prefixes) {
  return [=](const Config&, const KeyShapes& keys) -> std::string {
    const auto has = [&](const std::string& prefix) {
      return std::all_of(wanted.begin(), wanted.end(), [&](const auto& key) { return keys.count(prefix + key) != 0; });
    };
    return std::any_of(prefixes.begin(), prefixes.end(), has) ? fmt::format("keys {}", fmt::join(wanted, ", ")) : "";
  };
}

const Family& find_family(const Config& config, const KeyShapes& keys, std::string& reason) {
  std::vector<std::string> names;
  for (const auto& family : families()) names.push_back(family.name);
  if (const std::string name = config.text("family", ""); !name.empty()) {
    reason = "family = " + name;
    for (const auto& family : families()) {
      const auto& others = family.aliases;
      if (name == family.name || std::find(others.begin(), others.end(), name) != others.end()) return family;
    }
    fail_unknown("family", name, names);
  }
  for (const auto& family : families()) {
    reason = family.recognise(config, keys);
    if (!reason.empty()) return family;
  }
  const std::string diffusers = config.text("_class_name", "");
  fail("{}: no family recognises {} and {} keys{}; families: {} (name one as `family`)", config.where(),
       diffusers.empty() ? "this configuration" : "_class_name = " + diffusers, keys.size(),
       keys.empty() ? "" : " such as " + keys.begin()->first, fmt::join(names, ", "));
}

}  // namespace costate
