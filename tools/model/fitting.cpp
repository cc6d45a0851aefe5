// Trying families on the tensors of a checkpoint, and on those below each name that holds a good part of them.
#include "tools/model/fitting.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

namespace costate {
namespace {

Fitting fit_below(const Config& config, const Checkpoint& checkpoint, const std::string& below) {
  const CheckpointKeys keys(checkpoint, below);
  Fitting f;
  f.note = keys.note();
  const Family& family = find_family(config, keys.shapes(), f.reason);
  f.family = family.name;
  f.network = family.make(config, keys.shapes());
  f.place = place_parameters(*f.network, checkpoint, keys);
  return f;
}

/// Names with their dots ("net.", "net.weights."), at most `depth` deep, that hold at least an eighth of all values: a network
/// does beside its optimiser's moments and an average or two, single layers of one hardly do.
std::vector<std::vector<std::string>> names_by_depth(const Checkpoint& checkpoint, std::size_t depth) {
  std::vector<std::map<std::string, std::int64_t>> values(depth);
  std::int64_t all = 0;
  for (const auto& key : checkpoint.keys()) {
    const std::int64_t size = checkpoint.shape(key).size();
    all += size;
    std::size_t dot = key.find('.');
    for (std::size_t d = 0; d < depth && dot != std::string::npos; ++d, dot = key.find('.', dot + 1))
      values[d][key.substr(0, dot + 1)] += size;
  }
  std::vector<std::vector<std::string>> names(depth);
  for (std::size_t d = 0; d < depth; ++d)
    for (const auto& [name, size] : values[d])
      if (8 * size >= all) names[d].push_back(name);
  return names;
}

}  // namespace

Fitting fit_network(const Config& config, const Checkpoint& checkpoint, bool search) {
  std::optional<Error> wrong;
  try {
    return fit_below(config, checkpoint, "");
  } catch (const Error& e) {
    if (!search) throw;
    wrong = e;
  }
  constexpr std::size_t deepest = 4;
  for (const auto& names : names_by_depth(checkpoint, deepest)) {
    std::vector<std::string> found;
    Fitting fitting;
    for (const auto& name : names) {
      try {
        fitting = fit_below(config, checkpoint, name);
        found.push_back(name.substr(0, name.size() - 1));
      } catch (const Error&) {  // not these
      }
    }
    require(found.size() <= 1, "{}: tensors of a network lie below each of {}; say which by its key",
            checkpoint.path().string(), fmt::join(found, ", "));
    if (found.empty()) continue;
    fitting.note = fmt::format("of these those below '{}', as only they fit a network{}{}", found[0],
                               fitting.note.empty() ? "" : "; ", fitting.note);
    return fitting;
  }
  throw *wrong;
}

}  // namespace costate
