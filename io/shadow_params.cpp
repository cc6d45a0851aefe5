// Naming a list of averaged weights by the order of the weights beside it.
#include "io/shadow_params.h"

#include "core/error.h"

namespace costate {

std::string use_shadow_params(const std::vector<CheckpointEntry>& all, std::vector<CheckpointEntry>& chosen) {
  constexpr std::string_view list = "shadow_params.";
  std::vector<const CheckpointEntry*> shadow;
  for (const auto& e : all)
    if (e.key.starts_with(list) || e.key.find(fmt::format(".{}", list)) != std::string::npos) shadow.push_back(&e);
  if (shadow.empty()) return {};
  std::vector<CheckpointEntry> averaged = chosen;
  std::size_t used = 0;
  for (auto& e : averaged) {
    if (used == shadow.size() || e.shape() != shadow[used]->shape()) continue;
    e.element = shadow[used]->element;
    e.view = shadow[used++]->view;
  }
  const std::string name = shadow.front()->key.substr(0, shadow.front()->key.rfind('.'));
  if (used < shadow.size())
    return fmt::format("; the averages of '{}' do not fit these keys (from number {} on) and are left out", name, used);
  chosen = std::move(averaged);
  return fmt::format("; {} of {} from the averages '{}' (ask for the others by key)", used, chosen.size(), name);
}

}  // namespace costate
