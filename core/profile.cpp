// A stack of open scopes a thread, and one table of sums.
#include "core/profile.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

#include "core/error.h"
#include "core/flops.h"
#include "core/kernels/memory.h"
#include "core/memory.h"

namespace costate {
namespace {

using Clock = std::chrono::steady_clock;

struct Frame {
  std::string name;
  Clock::time_point start;
  std::int64_t flops;
  double inner_seconds = 0, inner_flops = 0;
};

std::vector<Frame>& frames() {
  thread_local std::vector<Frame> open;
  return open;
}

struct Table {
  std::mutex mutex;
  std::map<std::string, ProfileRow> rows;
};
Table& table() {
  static Table t;
  return t;
}

}  // namespace

std::atomic<bool> detail::profile_on{false};

Profile::Profile() {
  require(!detail::profile_on.exchange(true), "profile: another one is collecting");
  const std::lock_guard lock(table().mutex);
  table().rows.clear();
}
Profile::~Profile() { detail::profile_on = false; }

std::vector<ProfileRow> Profile::rows() const {
  const std::lock_guard lock(table().mutex);
  std::vector<ProfileRow> rows;
  for (const auto& [name, row] : table().rows) rows.push_back(row);
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return rows;
}

void ProfileScope::begin(const char* name) { frames().push_back({name, Clock::now(), flop_counter().load()}); }

void ProfileScope::end() {
  const Frame frame = frames().back();
  frames().pop_back();
  for (int d = 0; d < device_count; ++d)  // what is queued is part of the op
    if (memory_use(static_cast<Device>(d)).live > 0) finish_kernel.always(static_cast<Device>(d));
  const double seconds = std::chrono::duration<double>(Clock::now() - frame.start).count();
  const auto flops = static_cast<double>(flop_counter().load() - frame.flops);
  if (!frames().empty()) {
    frames().back().inner_seconds += seconds;
    frames().back().inner_flops += flops;
  }
  const std::lock_guard lock(table().mutex);
  ProfileRow& row = table().rows[frame.name];
  row.name = frame.name;
  row.calls += 1;
  row.seconds += seconds - frame.inner_seconds;
  row.flops += flops - frame.inner_flops;
}

void profile_note(const std::string& how) {
  if (profiling() && !frames().empty()) frames().back().name += " " + how;
}

}  // namespace costate
