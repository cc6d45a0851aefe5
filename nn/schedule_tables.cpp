// Finding and reading the tables of a schedule.
#include "nn/schedule_tables.h"

#include <algorithm>
#include <cmath>

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

std::vector<double> sigmoid_betas(std::int64_t steps) {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto bar = [&](std::int64_t i) {
    return sigmoid(3) - sigmoid(6 * static_cast<double>(i) / static_cast<double>(steps) - 3);
  };
  std::vector<double> betas;
  for (std::int64_t i = 0; i < steps; ++i) betas.push_back(std::min(0.999, 1 - bar(i + 1) / bar(i)));
  return betas;
}

}  // namespace costate
