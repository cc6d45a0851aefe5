// Finding a scheduler's class, and refusing what it does not know.
#include "tools/model/scheduler.h"

#include <algorithm>

namespace costate {

std::vector<std::string> scheduler_names() {
  std::vector<std::string> names;
  for (const auto& c : schedulers()) names.push_back(c.name + "Scheduler");
  return names;
}

Scheduler read_scheduler(const Config& config, bool compat) {
  require(config.has("_class_name"), "{}: says nothing of its _class_name, such as DDIMScheduler", config.where());
  const std::string name = config.text("_class_name", "");
  const auto found = std::find_if(schedulers().begin(), schedulers().end(),
                                  [&](const SchedulerClass& c) { return c.name + "Scheduler" == name; });
  if (found == schedulers().end()) fail_unknown("scheduler", name, scheduler_names());
  std::vector<std::string> known = found->keys;
  known.insert(known.end(), found->arguments.begin(), found->arguments.end());
  for (const auto& key : config.keys())
    if (key.rfind('_', 0) != 0 && std::find(known.begin(), known.end(), key) == known.end())
      fail_unknown("option of " + name + " in " + config.where(), key, known);
  return found->read(config, compat);
}

}  // namespace costate
