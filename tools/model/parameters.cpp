// Filling a network's parameters from a checkpoint.
#include "tools/model/parameters.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "autodiff/ops/cast.h"
#include "core/kernels/copy.h"
#include "io/averages.h"

namespace costate {
namespace {

/// "a, b, c, d, e and 7 more"
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 5;
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(std::min(shown, names.size())));
  return fmt::format("{}{}", fmt::join(first, ", "),
                     names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : "");
}

/// The key under which a parameter lies in the checkpoint: its own, or in one of the older spellings; empty if there is none.
std::string find_key(const std::string& key, const std::vector<std::pair<std::string, std::string>>& spellings,
                     const KeyShapes& have) {
  if (have.count(key) != 0) return key;
  for (const auto& [here, there] : spellings) {
    const auto at = key.rfind(here);
    if (at == std::string::npos) continue;
    std::string other = key;
    other.replace(at, here.size(), there);
    if (have.count(other) != 0) return other;
  }
  return {};
}

/// The used key that this one repeats in another spelling (one tensor known under two names); empty if there is none.
std::string repeated(const std::string& key, const std::vector<std::pair<std::string, std::string>>& spellings,
                     const std::set<std::string>& used) {
  for (const auto& [here, there] : spellings) {
    const auto at = key.rfind(there);
    if (at == std::string::npos) continue;
    std::string other = key;
    other.replace(at, there.size(), here);
    if (used.count(other) != 0) return other;
  }
  return {};
}

bool fits(const Shape& found, const Parameter& p) {
  if (p.layout == Layout::either)
    return found.rank() >= 2 && found[0] == p.value.dim(1) && found[1] == p.value.dim(0) &&
           found.size() == p.value.size();
  return found == file_shape(p.value.shape(), p.layout);
}

/// The first part of the keys, with its dot, under which averages lie; empty if none do. Fewer than the keys without a dot
/// are a network's own (or statistics of something else), no copy of it.
std::string average_of(const std::vector<std::string>& keys) {
  std::map<std::string, std::size_t> parts;
  for (const auto& key : keys) ++parts[key.substr(0, key.find('.') + 1)];  // (npos + 1 is 0: no dot, no part)
  std::vector<std::string> names;
  for (const auto& [part, count] : parts)
    if (!part.empty() && count > parts[""]) names.push_back(part.substr(0, part.size() - 1));
  const auto averages = averages_among(names);
  return averages.empty() ? "" : averages.front() + ".";
}

struct Misfits {
  std::vector<std::string> missing, surplus, shaped;

  void report(const std::string& file) const {
    if (missing.empty() && surplus.empty() && shaped.empty()) return;
    std::string text;
    if (!missing.empty()) text += fmt::format("; {} missing: {}", missing.size(), some_of(missing));
    if (!shaped.empty()) text += fmt::format("; {} of another shape: {}", shaped.size(), some_of(shaped));
    if (!surplus.empty()) text += fmt::format("; {} unknown: {}", surplus.size(), some_of(surplus));
    fail("{}: the keys do not fit the configured network{}; check that configuration and weights belong together", file,
         text);
  }
};

}  // namespace

CheckpointKeys::CheckpointKeys(const Checkpoint& checkpoint, const std::string& below) : prefix_(below) {
  std::vector<std::string> keys;  // without the prefix
  for (const auto& key : checkpoint.keys())
    if (key.starts_with(below)) keys.push_back(key.substr(below.size()));
  const auto strip = [&](const std::string& more) {
    prefix_ += more;
    for (auto& key : keys) key.erase(0, more.size());
  };
  const auto starts = [](const std::string& prefix) {
    return [prefix](const std::string& key) { return key.starts_with(prefix); };
  };
  // Copies side by side, as lucidrains' ema and Lightning modules have them: the average is taken.
  if (const std::string average = average_of(keys); !average.empty()) {
    const auto others = std::partition(keys.begin(), keys.end(), starts(average));
    note_ = others == keys.end() ? "" : fmt::format("{}*, the average, of {} tensors", average, keys.size());
    keys.erase(others, keys.end());
    strip(average);
  }
  for (bool found = true; found;) {
    found = false;
    for (const std::string prefix : {"module.", "model.", "_orig_mod."}) {
      if (keys.empty() || !std::all_of(keys.begin(), keys.end(), starts(prefix))) continue;
      strip(prefix);
      found = true;
    }
  }
  for (const auto& key : keys) shapes_[key] = checkpoint.shape(in_file(key));
}

Placement place_parameters(const Network& network, const Checkpoint& checkpoint, const CheckpointKeys& names) {
  const auto spellings = network.spellings();
  Placement place;
  Misfits misfits;
  std::set<std::string> used;
  for (const auto& p : network.parameters()) {
    const std::string key = find_key(p.key, spellings, names.shapes());
    place.keys.push_back(names.in_file(key));
    if (key.empty()) {
      misfits.missing.push_back(fmt::format("{} {}", p.key, file_shape(p.value.shape(), p.layout)));
      continue;
    }
    used.insert(key);
    const Shape& found = names.shapes().at(key);
    place.shapes.push_back(found);
    if (!fits(found, p))
      misfits.shaped.push_back(
          fmt::format("{} (expected {}, found {})", place.keys.back(), file_shape(p.value.shape(), p.layout), found));
  }
  for (const auto& [key, shape] : names.shapes()) {
    if (used.count(key) != 0) continue;
    const std::string other = repeated(key, spellings, used);
    if (other.empty())
      misfits.surplus.push_back(fmt::format("{} {}", names.in_file(key), shape));
    else
      require(checkpoint.read(names.in_file(key)).to_vector() == checkpoint.read(names.in_file(other)).to_vector(),
              "{}: {} and {} are one parameter under two names, but they differ", checkpoint.path().string(),
              names.in_file(key), names.in_file(other));
  }
  misfits.report(checkpoint.path().string());
  return place;
}

namespace {

/// One parameter in this library's layout, in memory of its own: the file may go.
Tensor load_parameter(const Checkpoint& checkpoint, const std::string& key, const Parameter& p, Kind kind) {
  const Tensor value = checkpoint.read(key);
  const std::int64_t bad = first_non_finite(value);
  require(bad < 0, "{}: {} holds a NaN or infinity, first at flat index {}; the weights are damaged",
          checkpoint.path().string(), key, bad);
  const Tensor here = cast(from_file_layout(value, p.layout), kind.dtype);
  if (kind.device != here.device()) return here.to(kind.device);
  return here.storage().borrowed() ? copy_of(here) : here;
}

}  // namespace

std::shared_ptr<const Network> load_parameters(const Network& network, const Checkpoint& checkpoint,
                                               const Placement& placement, Kind kind, bool weights) {
  const auto parameters = network.parameters();
  Tensors values;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    values.push_back(weights || p.buffer ? load_parameter(checkpoint, placement.keys[i], p, kind)
                                         : Tensor::ghost_of(p.value.shape(), kind.dtype));
  }
  return network.with(values);
}

}  // namespace costate
