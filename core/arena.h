// Memory of its own, for work that is recorded once and repeated at the same addresses.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>

#include "core/memory.h"

namespace costate {

/// Keeps what it once took from the device until it goes, so that the same requests in the same order ask for nothing new.
class Arena {
 public:
  struct State;

  /// Throws where more than `most` bytes would be taken.
  explicit Arena(Device device, std::int64_t most = std::numeric_limits<std::int64_t>::max());
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();  ///< blocks that are still in use keep their memory until they end

  /// What it has taken; all of it counts as live.
  [[nodiscard]] std::int64_t bytes() const;

  /// While it lives, blocks that this thread makes on the arena's device are the arena's.
  class Use {
   public:
    explicit Use(const Arena& arena);
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use();

   private:
    const std::shared_ptr<State>* before_;
  };

 private:
  std::shared_ptr<State> state_;
};

}  // namespace costate
