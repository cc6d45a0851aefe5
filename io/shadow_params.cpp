// Naming a list of averaged weights by the order of the weights beside it.
#include "io/shadow_params.h"

#include "core/error.h"

namespace costate {
namespace {

/// Is kept beside the weights, but never trained.
bool is_statistic(std::string_view key) {
  return key.ends_with("running_mean") || key.ends_with("running_var") || key.ends_with("num_batches_tracked");
}

}  // namespace

std::string use_shadow_params(const std::vector<CheckpointEntry>& all, std::vector<CheckpointEntry>& chosen) {
  constexpr std::string_view list = "shadow_params.";
  std::vector<const CheckpointEntry*> shadow;
  for (const auto& e : all)
    if (e.key.starts_with(list) || e.key.find(fmt::format(".{}", list)) != std::string::npos) shadow.push_back(&e);
  if (shadow.empty()) return {};
  const auto fits = [&](std::size_t entry, std::size_t average) {
    return !is_statistic(chosen[entry].key) && chosen[entry].shape() == shadow[average]->shape();
  };
  std::vector<std::size_t> places;  // of the averages among the chosen, each as far in front as may be
  for (std::size_t i = 0; i < chosen.size() && places.size() < shadow.size(); ++i)
    if (fits(i, places.size())) places.push_back(i);
  const std::string name = shadow.front()->key.substr(0, shadow.front()->key.rfind('.'));
  const std::size_t used = places.size();
  if (used < shadow.size())
    return fmt::format("; the averages of '{}' do not fit these keys (from number {} on) and are left out", name, used);
  std::size_t left = used;  // as far behind as may be: the same places, or there is a choice
  for (std::size_t i = chosen.size(); i-- > 0 && left > 0;) {
    if (!fits(i, left - 1)) continue;
    if (places[--left] != i)
      return fmt::format("; the averages of '{}' fit these keys in more than one way and are left out", name);
  }
  std::vector<CheckpointEntry> averaged = chosen;
  for (std::size_t k = 0; k < used; ++k) {
    averaged[places[k]].element = shadow[k]->element;
    averaged[places[k]].view = shadow[k]->view;
  }
  chosen = std::move(averaged);
  return fmt::format("; {} of {} from the averages '{}' (ask for the others by key)", used, chosen.size(), name);
}

}  // namespace costate
