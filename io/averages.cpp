// A fixed list, then a word.
#include "io/averages.h"

#include <algorithm>
#include <string_view>

namespace costate {
namespace {

constexpr std::string_view usual[] = {"ema_model", "ema", "model_ema", "ema_state_dict", "params_ema"};

// Is "ema" one of the name's words, as in g_ema?
bool says_average(std::string_view name) {
  const auto is_word_end = [&](std::size_t at) { return at >= name.size() || name[at] == '_'; };
  for (auto at = name.find("ema"); at != std::string_view::npos; at = name.find("ema", at + 1))
    if ((at == 0 || name[at - 1] == '_') && is_word_end(at + 3)) return true;
  return false;
}

}  // namespace

std::vector<std::string> averages_among(const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const auto& name : names)
    if (says_average(name)) found.push_back(name);
  std::stable_sort(found.begin(), found.end(), [](const std::string& a, const std::string& b) {
    return std::find(std::begin(usual), std::end(usual), a) < std::find(std::begin(usual), std::end(usual), b);
  });
  return found;
}

}  // namespace costate
