// Finding and reading the tables of a schedule.
#include "nn/schedule_tables.h"

#include "nn/parameter.h"

namespace costate {

std::vector<double> ScheduleTables::values(const std::string& key) const {
  for (const auto& [name, value] : all)
    if (name == key && !value.is_ghost()) return value.to_vector();
  return {};
}

ScheduleTables schedule_tables_of(const KeyShapes& keys, const std::string& prefix) {
  ScheduleTables tables;
  if (prefix.empty()) return tables;
  for (const auto& [key, shape] : keys)
    if (key.rfind(prefix + ".", 0) != 0 && shape.rank() == 1) tables.all.emplace_back(key, parameter(shape));
  return tables;
}

}  // namespace costate
