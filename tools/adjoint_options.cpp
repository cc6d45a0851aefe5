// From options to adjoints.
#include "tools/adjoint_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/spec.h"
#include "tools/model/grid.h"

namespace costate {
namespace {

const AdjointType& type_of(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& type : adjoints()) {
    if (type.name == name) return type;
    names.push_back(type.name);
  }
  fail_unknown("adjoint", name, names);
}

bool knows(const AdjointType& type, const std::string& key) {
  return std::find(type.options.begin(), type.options.end(), key) != type.options.end();
}

}  // namespace

void AdjointOptions::declare(Arguments& a, bool several) {
  a.option("--adjoint", names,
           several ? "how gradients are found, see `costate list adjoints`; several, a,b,c, are compared in a table, "
                     "the first is written "
                     "[checkpointed]"
                   : "how gradients are found, see `costate list adjoints` [checkpointed]",
           "NAME");
  a.option("--adjoint-steps", steps,
           "steps of a continuous adjoint, which need not be the sampler's [as the sampler's]", "M");
  a.option("--adjoint-grid", grid, "levels of a continuous adjoint: a grid by name, or an .h5 file [as the sampler's]",
           "NAME|FILE");
  a.option("--states", states,
           "of continuous adjoints: cached, the sampler's own states, or resolved, solved again from x_0 [cached]",
           "NAME");
  a.option("--adjoint-set", set, "further options of the adjoint, see `costate list adjoints NAME`; may be repeated",
           "KEY=VALUE");
}

std::vector<Adjoint> AdjointOptions::make() const {
  return as_usage([&] {
    nlohmann::json given = key_values("--adjoint-set", set);
    if (!states.empty()) given["states"] = states;
    const auto list = words_of("--adjoint", names);
    if (list.empty()) throw UsageError("--adjoint: the list is empty");
    for (const auto& [key, value] : given.items()) {
      const bool known = std::any_of(list.begin(), list.end(), [&](auto& name) { return knows(type_of(name), key); });
      if (!known) make_adjoint(list.front(), Config(nlohmann::json{{key, value}}, "adjoint"));  // says what there is
    }
    std::vector<Adjoint> all;
    for (const auto& name : list) {
      nlohmann::json own = nlohmann::json::object();
      for (const auto& [key, value] : given.items()) {
        if (knows(type_of(name), key)) own[key] = value;
      }
      all.push_back(make_adjoint(name, Config(own, "adjoint " + name)));
    }
    if (steps) require_own_levels("--adjoint-steps", all);
    if (!grid.empty()) require_own_levels("--adjoint-grid", all);
    return all;
  });
}

Grid AdjointOptions::levels(const SamplingOptions& sampling, const Model& model) const {
  const int count = as_usage(
      [&] { return step_count(steps ? "--adjoint-steps" : "--steps", steps.value_or(sampling.steps_or_default())); });
  if (!steps && grid.empty()) return {};
  if (is_grid_file(grid)) {
    if (steps) throw UsageError("--adjoint-steps: the file of --adjoint-grid says how many there are; give one");
    return read_grid(grid, model, count);
  }
  const std::string name = !grid.empty() ? grid : sampling.grid.empty() ? model.grid : sampling.grid;
  if (is_grid_file(name))
    throw UsageError(
        "--adjoint-steps: the sampler's grid is a file; name one for the adjoint, too, with --adjoint-grid");
  return as_usage([&] { return grid_of(model, count, name); });
}

void require_own_levels(const std::string& option, const std::vector<Adjoint>& adjoints) {
  if (std::none_of(adjoints.begin(), adjoints.end(), has_own_levels))
    throw UsageError(
        fmt::format("{}: {} goes back over the sampler's steps and takes none of its own; leave it out, or "
                    "take a continuous adjoint (`costate list adjoints`)",
                    option, adjoints.front().name));
}

bool has_own_levels(const Adjoint& adjoint) { return !adjoint.exact && adjoint.name != "endpoint-fisher"; }

}  // namespace costate
