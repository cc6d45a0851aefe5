// Finding the family of a configuration.
#include "nn/family.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace costate {

const Family& find_family(const Config& config, const KeyShapes& keys, std::string& reason) {
  std::vector<std::string> names;
  for (const auto& family : families()) names.push_back(family.name);
  if (const std::string name = config.text("family", ""); !name.empty()) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) fail_unknown("family", name, names);
    reason = "family = " + name;
    return families()[static_cast<std::size_t>(at - names.begin())];
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
