// Walks of a pickle's values: bounded, because values may be shared so that paths outnumber them by far.
#include "io/torch_select.h"

#include <algorithm>
#include <optional>

#include "io/averages.h"
#include "io/torch_rebuild.h"

namespace costate {
namespace {

constexpr std::size_t max_depth = 32, max_visits = 4'000'000, max_path = 4096;
constexpr std::string_view usual[] = {"state_dict", "model_state_dict", "model", "params", "net"};

// The text a key has in a dotted path; nullopt for keys that cannot be part of one.
std::optional<std::string> key_text(PickleItem key) {
  if (const auto* t = key->as<PickleText>()) return t->text;
  if (const auto* n = key->as<std::int64_t>()) return std::to_string(*n);
  return std::nullopt;
}

std::string join(const std::string& path, const std::string& name) { return path.empty() ? name : path + "." + name; }

bool is_optimiser(std::string_view name, PickleItem v) {
  if (name.starts_with("optim") || name == "opt" || name.starts_with("opt_") ||
      name.find("scheduler") != std::string_view::npos)
    return true;
  return find_item(v, "param_groups") != nullptr && find_item(v, "state") != nullptr;  // torch.optim's own layout
}

using Children = std::vector<std::pair<std::string, PickleItem>>;

Children children(PickleItem v) {
  Children c;
  if (const auto* d = v->as<PickleDict>()) {
    for (const auto& [key, value] : d->items)
      if (auto text = key_text(key)) c.emplace_back(std::move(*text), value);
  }
  const auto* list = v->as<PickleList>();
  const auto* tuple = v->as<PickleTuple>();
  if (list != nullptr || tuple != nullptr) {
    const auto& items = list != nullptr ? list->items : tuple->items;
    for (std::size_t i = 0; i < items.size(); ++i) c.emplace_back(std::to_string(i), items[i]);
  }
  // (a configuration of omegaconf holds no tensors, but each of its nodes its parent: a cycle)
  if (const auto* o = v->as<PickleObject>(); o != nullptr && o->state != nullptr && !o->name.starts_with("omegaconf."))
    return children(o->state);
  return c;
}

// A loop over an own stack: depth and count are set by the file, so both are bounded.
template <class Visit>
void walk(PickleItem root, bool skip_optimisers, const std::string& where, Visit&& visit) {
  struct Place {
    std::string path;
    PickleItem value;
    std::size_t depth;
  };
  std::vector<Place> todo = {{"", root, 0}};
  std::size_t visits = 0;
  while (!todo.empty()) {
    const Place p = std::move(todo.back());
    todo.pop_back();
    visit(p.path, p.value);
    auto below = children(p.value);
    require(below.empty() || (p.depth < max_depth && p.path.size() < max_path),
            "{}: values are nested more than {} deep", where, max_depth);
    visits += below.size();
    require(visits <= max_visits, "{}: has more than {} nested values", where, max_visits);
    for (auto it = below.rbegin(); it != below.rend(); ++it) {  // reversed: the stack gives them back in order
      if (skip_optimisers && is_optimiser(it->first, it->second)) continue;
      todo.push_back({join(p.path, it->first), it->second, p.depth + 1});
    }
  }
}

// Tensors that are the own values of a dictionary, or an object's, and so have names.
std::size_t named_tensors(PickleItem v) {
  const auto* object = v->as<PickleObject>();
  const auto* d = object != nullptr && object->state != nullptr ? object->state->as<PickleDict>() : v->as<PickleDict>();
  if (d == nullptr) return 0;
  return static_cast<std::size_t>(std::count_if(d->items.begin(), d->items.end(), [](const auto& item) {
    return item.second->template as<PickleTensor>() != nullptr;
  }));
}

struct Candidate {
  std::string path;
  PickleItem value;
  std::size_t tensors;
};

// Every dictionary below `root` that holds named tensors and is no optimiser's.
std::vector<Candidate> candidates(PickleItem root, const std::string& where) {
  std::vector<Candidate> all;
  walk(root, true, where, [&](const std::string& path, PickleItem v) {
    if (const auto n = named_tensors(v); n > 0) all.push_back({path, v, n});
  });
  return all;
}

bool is_below(const std::string& path, const std::string& root) {
  return root.empty() || path == root || (path.starts_with(root) && path[root.size()] == '.');
}

const Candidate* most_tensors(const std::vector<Candidate>& all, const std::string& below) {
  const Candidate* best = nullptr;
  for (const auto& c : all)
    if (is_below(c.path, below) && (best == nullptr || c.tensors > best->tensors)) best = &c;
  return best;
}

// The names to look for below `path`: those of moving averages, then others.
std::vector<std::string> preferred_below(const std::string& path, const std::vector<Candidate>& all) {
  std::vector<std::string> below;
  const std::size_t skipped = path.empty() ? 0 : path.size() + 1;
  for (const auto& c : all)
    if (is_below(c.path, path) && c.path.size() > skipped)
      below.push_back(c.path.substr(skipped, c.path.find('.', skipped) - skipped));
  std::vector<std::string> names = averages_among(below);
  names.insert(names.end(), std::begin(usual), std::end(usual));
  return names;
}

// The candidate itself when it holds tensors and nothing under a preferred name holds more; a preferred name; the
// fullest.
Selection choose(const std::vector<Candidate>& all) {
  std::string path;
  std::string why;
  for (;;) {
    const auto here = std::find_if(all.begin(), all.end(), [&](const Candidate& c) { return c.path == path; });
    const std::size_t own = here == all.end() ? 0 : here->tensors;
    const auto names = preferred_below(path, all);
    const auto better = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
      const Candidate* best = most_tensors(all, join(path, name));
      return best != nullptr && best->tensors > own;
    });
    if (better == names.end()) {
      if (own > 0) return {true, path, path.empty() ? "the file's root holds tensors" : why, {}};
      const Candidate* best = most_tensors(all, path);
      if (best == nullptr) return {};
      return {true, best->path, why.empty() ? "it has the most tensors" : why, {}};
    }
    path = join(path, *better);
    why = fmt::format("'{}' comes first of the names that checkpoints use", *better);
  }
}

}  // namespace

std::vector<std::pair<std::string, const PickleTensor*>> list_tensors(PickleItem root, bool skip_optimisers,
                                                                      const std::string& where) {
  std::vector<std::pair<std::string, const PickleTensor*>> tensors;
  walk(root, skip_optimisers, where, [&](const std::string& path, PickleItem v) {
    if (const auto* t = v->as<PickleTensor>()) tensors.emplace_back(path, t);
  });
  return tensors;
}

Selection select_weights(PickleItem root, const std::string& where) {
  const auto all = candidates(root, where);
  Selection s = choose(all);
  for (const auto& c : all)
    if (s.found && !is_below(c.path, s.path) && s.others.size() < 8) s.others.push_back(printable(c.path));
  return s;
}

}  // namespace costate
