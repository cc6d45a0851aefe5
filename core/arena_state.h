// What arenas are to the blocks in them. For arena.cpp and memory.cpp alone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "core/layout.h"

namespace costate {

/// Until it is settled, blocks have the pool's memory, and it is noted how large they are and how long each lives.
class ArenaState {
 public:
  ArenaState(Device device, std::int64_t most) : device_(device), most_(most) {}

  void settle();
  void lie_in(std::shared_ptr<const Block> memory);
  [[nodiscard]] Device device() const { return device_; }
  [[nodiscard]] std::int64_t bytes();

  /// A block, and which request it was.
  std::pair<void*, std::size_t> take(std::size_t bytes);
  /// Whether the block's memory is the arena's own.
  bool give(std::size_t request, const void* p);
  /// Some address for a block that is neither read nor written: inside, if it fits there.
  void* somewhere(std::size_t bytes);

 private:
  [[nodiscard]] std::byte* place(std::size_t at) const { return static_cast<std::byte*>(memory_->data()) + at; }
  [[noreturn]] void refuse(std::size_t bytes) const;

  Device device_;
  std::int64_t most_, size_ = 0;  ///< in use; once settled, of the memory that they need
  std::mutex mutex_;
  std::vector<Request> requests_;
  int clock_ = 0;
  bool settled_ = false;
  std::shared_ptr<const Block> memory_;
  std::size_t next_ = 0;
  std::map<std::size_t, std::size_t> live_;  ///< blocks in its memory, from and to
  std::size_t cursor_ = 0;
};

/// The arena that this thread is inside, or null.
const Arena::Use* arena_in_use();

}  // namespace costate
