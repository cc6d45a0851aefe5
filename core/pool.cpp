// Two ways to give a block out, under one mutex a device. Small ones: free lists by size over the system's blocks. Large ones:
// pieces of segments, the smallest that holds the request, cut to size, and joined with their neighbours when they come back;
// so a run that repeats itself asks the system for nothing, whatever sizes it mixes.
#include "core/pool.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/kernels/memory.h"
#include "core/memory.h"
#include "core/pieces.h"

namespace costate {
namespace {

constexpr std::size_t large = std::size_t{64} << 10;    // a block of this size is a piece of a segment
constexpr std::size_t segment = std::size_t{32} << 20;  // taken from the system at once, if the request is not larger
constexpr std::size_t small_kept = std::size_t{16} << 20;  // free small blocks beyond this go back

#ifdef COSTATE_UNPOOLED
std::atomic<bool> pooled = false;
#else
std::atomic<bool> pooled = true;
#endif

/// The system's memory; null where there is none.
void* raw(Device device, std::size_t bytes) {
  void* p = nullptr;
  allocate_kernel.always(device, bytes, p);
  return p;
}

/// Free small blocks by their size.
class FreeLists {
 public:
  explicit FreeLists(Device device) : device_(device) {}

  void* take(std::size_t bytes) {
    const auto it = free_.find(bytes);
    if (it == free_.end() || it->second.empty()) return raw(device_, bytes);
    void* p = it->second.back();
    it->second.pop_back();
    kept_ -= bytes;
    return p;
  }

  void give(void* p, std::size_t bytes) {
    if (!pooled || kept_ + bytes > small_kept) return release_kernel.always(device_, p);
    free_[bytes].push_back(p);
    kept_ += bytes;
  }

  void release() {
    for (auto& [bytes, blocks] : free_)
      for (void* p : blocks) release_kernel.always(device_, p);
    free_.clear();
    kept_ = 0;
  }

 private:
  Device device_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::size_t kept_ = 0;
};

/// Pieces of the system's segments.
class Segments {
 public:
  explicit Segments(Device device) : device_(device) {}

  /// Null where the system has none.
  void* take(std::size_t bytes) {
    auto at = pieces_.take(bytes);
    if (at == Pieces::none) {
      if (!add(pooled ? std::max(bytes, segment) : bytes) && !add(bytes)) return nullptr;
      at = pieces_.take(bytes);
    }
    return reinterpret_cast<void*>(at);
  }

  void give(void* p) {
    pieces_.give(reinterpret_cast<std::uintptr_t>(p));
    if (!pooled) release();
  }

  /// Segments that are free from end to end go back to the system.
  void release() {
    pieces_.remove_whole([&](std::uintptr_t at) { release_kernel.always(device_, reinterpret_cast<void*>(at)); });
  }

 private:
  bool add(std::size_t bytes) {
    void* p = raw(device_, bytes);
    if (p != nullptr) pieces_.add(reinterpret_cast<std::uintptr_t>(p), bytes);
    return p != nullptr;
  }

  Device device_;
  Pieces pieces_;
};

/// A mutex that is tried for a while before its thread sleeps: what it guards takes less time than that.
class BriefMutex {
 public:
  void lock() {
    for (int tries = 0; tries < 200; ++tries)
      if (mutex_.try_lock()) return;
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// Who keeps memory of a device.
class Keepers {
 public:
  void add(const std::function<void()>* give_back) {
    const std::lock_guard lock(mutex_);
    all_.push_back(give_back);
  }
  void remove(const std::function<void()>* give_back) {
    const std::lock_guard lock(mutex_);
    std::erase(all_, give_back);
  }
  void give_back() {
    const std::lock_guard lock(mutex_);
    for (const auto* one : all_) (*one)();
  }
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
  std::vector<const std::function<void()>*> all_;
};

// Neither these nor the pools are ever destroyed: tensors of static lifetime may be freed after them otherwise.
Keepers& keepers(Device d) {
  static auto& all = *new std::array<Keepers, device_count>;
  return all[static_cast<std::size_t>(d)];
}

class Pool {
 public:
  explicit Pool(Device device) : device_(device), small_(device), large_(device) {}

  void* take(std::size_t bytes) {
    if (void* p = try_to_take(bytes)) return p;
    keepers(device_).give_back();  // to this pool
    if (void* p = try_to_take(bytes)) return p;
    const MemoryUse now = use();
    throw OutOfMemory(fmt::format(
        "memory: cannot allocate {} on {} ({} in use, {} at most so far); use a smaller batch, image or network",
        format_bytes(static_cast<std::int64_t>(bytes)), name_of(device_), format_bytes(now.live),
        format_bytes(now.peak)));
  }

  void give(void* p, std::size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    use_.live -= static_cast<std::int64_t>(bytes);
    try {
      if (bytes < large)
        small_.give(p, bytes);
      else
        large_.give(p);
    } catch (const std::bad_alloc&) {  // no memory to note the block in: it is lost, the process is not
    }
  }

  void release() {
    const std::lock_guard lock(mutex_);
    give_back();
  }
  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }
  void reset() {
    const std::lock_guard lock(mutex_);
    use_.peak = use_.live;
  }
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  /// Null where the device has none, and neither has this pool.
  void* try_to_take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    void* p = find(bytes);
    if (p == nullptr) {
      give_back();
      p = find(bytes);
    }
    if (p == nullptr) return p;
    use_.live += static_cast<std::int64_t>(bytes);
    use_.peak = std::max(use_.peak, use_.live);
    return p;
  }

  void* find(std::size_t bytes) { return bytes < large ? small_.take(bytes) : large_.take(bytes); }
  void give_back() {
    small_.release();
    large_.release();
  }

  Device device_;
  BriefMutex mutex_;
  FreeLists small_;
  Segments large_;
  MemoryUse use_;
};

void before_fork();
void after_fork();

template <std::size_t... i>
std::array<Pool, device_count>& pools(std::index_sequence<i...>) {
  static auto& all = [&]() -> auto& {
    ::pthread_atfork(before_fork, after_fork, after_fork);
    return *new std::array<Pool, device_count>{Pool(static_cast<Device>(i))...};
  }
  ();
  return all;
}

Pool& pool(Device d) { return pools(std::make_index_sequence<device_count>())[static_cast<std::size_t>(d)]; }

// A child process would find the locks that its parent's other threads held, and nobody to open them. Who gives back takes
// the pool's after its own.
void before_fork() {
  for (std::size_t d = 0; d < device_count; ++d) {
    keepers(static_cast<Device>(d)).lock();
    pool(static_cast<Device>(d)).lock();
  }
}
void after_fork() {
  for (std::size_t d = 0; d < device_count; ++d) {
    keepers(static_cast<Device>(d)).unlock();
    pool(static_cast<Device>(d)).unlock();
  }
}

}  // namespace

void* take_from_pool(Device d, std::size_t bytes) { return pool(d).take(bytes); }
void give_to_pool(Device d, void* p, std::size_t bytes) noexcept { pool(d).give(p, bytes); }

MemoryUse memory_use(Device d) { return pool(d).use(); }
void reset_peak(Device d) { pool(d).reset(); }
void release_cached(Device d) { pool(d).release(); }
void set_pooling(bool on) { pooled = on; }

Keeper::Keeper(Device device, std::function<void()> give_back) : device_(device), give_back_(std::move(give_back)) {
  keepers(device_).add(&give_back_);
}
Keeper::~Keeper() { keepers(device_).remove(&give_back_); }

}  // namespace costate
