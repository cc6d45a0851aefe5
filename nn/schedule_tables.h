// Tables of a noise schedule that checkpoints hold beside the network.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nn/family.h"

namespace costate {

struct ScheduleTables {
  std::vector<std::pair<std::string, Tensor>> all;  ///< by key; constants, loaded and saved

  static void fields(auto& self, auto&& visit) {
    for (auto& [key, value] : self.all) visit(key.c_str(), value, Layout::plain, true);
  }

  /// The numbers of a table; none where the file lacks it, or before it is loaded.
  [[nodiscard]] std::vector<double> values(const std::string& key) const;
};

/// Of a checkpoint whose network lies below `prefix`: its other keys with one axis. None where the prefix is empty.
ScheduleTables schedule_tables_of(const KeyShapes& keys, const std::string& prefix);

/// betas whose alpha-bar is a sigmoid from -3 to 3, between 1 and 0 (Jabri et al. 2022, arXiv:2212.11972, figure 8).
std::vector<double> sigmoid_betas(std::int64_t steps);

}  // namespace costate
