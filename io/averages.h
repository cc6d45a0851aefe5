// The names under which checkpoints keep moving averages of weights.
#pragma once

#include <string>
#include <vector>

namespace costate {

/// Those of `names` that say averages, best first: the names that training code uses, then any with the word "ema" (g_ema).
std::vector<std::string> averages_among(const std::vector<std::string>& names);

}  // namespace costate
