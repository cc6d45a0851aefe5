// Memory of its own, for work that is recorded once and repeated at the same addresses.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>

#include "core/memory.h"

namespace costate {

/// Work is rehearsed in it, which shows what blocks it needs and how long; once settled, all of them have their places (core/layout.h) in one
/// piece of memory, for the same requests in the same order, and from the start again once all have been made and none is left.
class Arena {
 public:
  /// Throws where more than `most` bytes would be in use at one time.
  explicit Arena(Device device, std::int64_t most = std::numeric_limits<std::int64_t>::max());
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();  ///< blocks that are still in use keep their memory until they end

  /// Gives the blocks their places. Another request than the one that was rehearsed throws from then on.
  void settle();
  /// Of the memory that they need, once settled.
  [[nodiscard]] std::int64_t bytes() const;
  /// Where they lie from now on, none of them being in use: memory of so many bytes or more, which arenas of work that is never done at
  /// one time may share. Null: nowhere.
  void lie_in(std::shared_ptr<const Block> memory);

  /// no: of an arena with memory, blocks that are neither read nor written, and may lie upon each other.
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
    std::shared_ptr<ArenaState> arena_;
    Touch touch_;
    const Use* before_;
  };

 private:
  std::shared_ptr<ArenaState> state_;
};

}  // namespace costate
