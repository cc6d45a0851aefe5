// The caching allocator of each device, with exact counters of what is in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/device.h"

namespace costate {

/// Bytes handed out by the allocator and not yet returned. Sizes are rounded up to 64; cached free blocks do not count.
struct MemoryUse {
  std::int64_t live = 0;
  std::int64_t peak = 0;  ///< largest `live` since the start or the last reset_peak
};

[[nodiscard]] MemoryUse memory_use(Device d = Device::cpu);
void reset_peak(Device d = Device::cpu);  ///< peak := live

/// Returns cached free blocks to the system.
void release_cached(Device d = Device::cpu);

/// Somebody who keeps memory only to be faster the next time. When a device has none left for a request, all of them are asked to give
/// it back, from whatever thread that request is made on, and it is tried once more.
class Keeper {
 public:
  Keeper(Device device, std::function<void()> give_back);  ///< which may end blocks and makes none
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper();  ///< waits until it has given back, if it is being asked

 private:
  Device device_;
  std::function<void()> give_back_;
};

/// Whether this program has the device's kernels.
[[nodiscard]] bool is_built(Device d);
/// Throws Error, naming its build or machine, when the device cannot be used.
void require_device(Device d);

/// "262.1 MiB"
std::string format_bytes(std::int64_t bytes);

class ArenaState;

/// A raw block, 64-byte aligned on the CPU: what Storage owns. Move-only.
class Block {
 public:
  Block() = default;
  Block(std::size_t bytes, Device device);
  Block(Block&& o) noexcept;
  Block& operator=(Block&& o) noexcept;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block();

  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] Device device() const { return device_; }

 private:
  enum class From : std::uint8_t { pool, arena, nobody };  ///< core/arena.h

  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_ = Device::cpu;
  From from_ = From::pool;
  std::shared_ptr<ArenaState> arena_;  ///< whose request-th block it is
  std::size_t request_ = 0;
};

}  // namespace costate
