// Memory of its own, for work that is recorded once and repeated at the same addresses.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>

#include "core/memory.h"

namespace costate {

/// Work is rehearsed in it, which shows what blocks it needs and how long; once settled, it has one piece of memory in which all of them have
/// their places (core/layout.h), for the same requests in the same order, and from the start again once all have been made and none is left.
class Arena {
 public:
  struct State;

  /// Throws where more than `most` bytes would be in use at one time.
  explicit Arena(Device device, std::int64_t most = std::numeric_limits<std::int64_t>::max());
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();  ///< blocks that are still in use keep their memory until they end

  /// Takes its memory, which counts as live as a whole from then on. Another request than the one that was rehearsed throws.
  void settle();
  /// Of its memory, once settled.
  [[nodiscard]] std::int64_t bytes() const;

  /// no: of a settled arena, blocks that are neither read nor written, and may lie upon each other.
  enum class Touch { yes, no };

  /// While it lives, blocks that this thread makes on the arena's device are the arena's.
  class Use {
   public:
    explicit Use(const Arena& arena, Touch touch = Touch::yes);
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use();

   private:
    friend class Block;
    std::shared_ptr<State> arena_;
    Touch touch_;
    const Use* before_;
  };

 private:
  std::shared_ptr<State> state_;
};

}  // namespace costate
