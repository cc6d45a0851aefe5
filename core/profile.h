// Where time goes, by kind of work. Costs one load an op while nobody asks.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace costate {

/// What all ops of one kind took together; time and flops of ops inside them count for those alone.
struct ProfileRow {
  std::string name;  ///< of the op, and how it ran: "conv2d F(4,3)"
  std::int64_t calls = 0;
  double seconds = 0, flops = 0;
};

/// Collects while it lives, from every thread. One at a time.
class Profile {
 public:
  Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;
  ~Profile();

  [[nodiscard]] std::vector<ProfileRow> rows() const;  ///< the slowest first
};

namespace detail {
extern std::atomic<bool> profile_on;
}
[[nodiscard]] inline bool profiling() { return detail::profile_on.load(std::memory_order_relaxed); }

/// An op's time, from construction to destruction.
class ProfileScope {
 public:
  explicit ProfileScope(const char* name) : active_(profiling()) {
    if (active_) begin(name);
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;
  ~ProfileScope() {
    if (active_) end();
  }

 private:
  static void begin(const char* name);
  static void end();
  bool active_;
};

/// Says how the innermost scope of this thread does its work. For kernels with more than one way.
void profile_note(const std::string& how);

}  // namespace costate
