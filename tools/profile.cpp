// The table of `costate eval --profile`.
#include "tools/profile.h"

#include <fmt/format.h>

#include "core/parallel.h"
#include "core/peak.h"
#include "tools/common.h"

namespace costate {

std::string profile_table(const Profile& profile, std::int64_t runs, double seconds, Device device) {
  const double per_run = 1e3 / static_cast<double>(runs),
               peak = device == Device::cpu ? flops_peak() * thread_count() : 0;  // of others it is not known
  std::vector<std::vector<std::string>> rows{{"", "calls", "ms", "time %", "GFLOP/s", "peak %"}};
  double inside = 0;
  for (const auto& r : profile.rows()) {
    inside += r.seconds;
    const bool counted = r.flops > 0;
    rows.push_back({r.name, fmt::format("{}", r.calls / runs), fmt::format("{:.3f}", r.seconds * per_run),
                    fmt::format("{:.1f}", 100 * r.seconds / seconds),
                    counted ? fmt::format("{:.1f}", r.flops / r.seconds / 1e9) : "",
                    counted && peak > 0 ? fmt::format("{:.0f}", 100 * r.flops / r.seconds / peak) : ""});
  }
  rows.push_back({"between ops", "", fmt::format("{:.3f}", (seconds - inside) * per_run),
                  fmt::format("{:.1f}", 100 * (seconds - inside) / seconds), "", ""});
  return text_table(rows);
}

}  // namespace costate
