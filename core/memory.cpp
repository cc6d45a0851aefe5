// Size-keyed free lists over aligned system blocks, one mutex; a free block is kept for the next equal request.
#include "core/memory.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"

namespace costate {
namespace {

constexpr std::size_t alignment = 64;
// Cached blocks may hold at most this share of the peak (and always 64 MiB), so that a run never doubles its memory.
constexpr std::size_t cache_floor = std::size_t{64} << 20;

class Pool {
 public:
  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    void* p = nullptr;
    if (auto it = free_.find(bytes); it != free_.end() && !it->second.empty()) {
      p = it->second.back();
      it->second.pop_back();
      cached_ -= bytes;
    } else {
      p = std::aligned_alloc(alignment, bytes);
      if (p == nullptr) {
        drop_cached();
        p = std::aligned_alloc(alignment, bytes);
      }
      require(p != nullptr, "memory: cannot allocate {} ({} in use); use a smaller batch, image or network",
              format_bytes(static_cast<std::int64_t>(bytes)), format_bytes(use_.live));
    }
    use_.live += static_cast<std::int64_t>(bytes);
    use_.peak = std::max(use_.peak, use_.live);
    return p;
  }

  void give(void* p, std::size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    use_.live -= static_cast<std::int64_t>(bytes);
    if (cached_ + bytes > std::max(cache_floor, static_cast<std::size_t>(use_.peak) / 4)) {
      std::free(p);
      return;
    }
    try {
      free_[bytes].push_back(p);
      cached_ += bytes;
    } catch (...) {
      std::free(p);
    }
  }

  void release() {
    const std::lock_guard lock(mutex_);
    drop_cached();
  }
  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }
  void reset() {
    const std::lock_guard lock(mutex_);
    use_.peak = use_.live;
  }

 private:
  void drop_cached() {
    for (auto& [bytes, blocks] : free_)
      for (void* p : blocks) std::free(p);
    free_.clear();
    cached_ = 0;
  }

  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::size_t cached_ = 0;
  MemoryUse use_;
};

// Never destroyed: tensors of static lifetime may be freed after it otherwise.
Pool& cpu_pool() {
  static Pool& pool = *new Pool;
  return pool;
}

}  // namespace

void require_device(Device d) {
  require(d == Device::cpu, "device {}: this costate is built without CUDA; use --device cpu", name_of(d));
}

MemoryUse memory_use(Device d) { return d == Device::cpu ? cpu_pool().use() : MemoryUse{}; }
void reset_peak(Device d) {
  if (d == Device::cpu) cpu_pool().reset();
}
void release_cached(Device d) {
  if (d == Device::cpu) cpu_pool().release();
}

std::string format_bytes(std::int64_t bytes) {
  constexpr const char* unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double v = static_cast<double>(bytes);
  int u = 0;
  while (v >= 1024 && u < 4) v /= 1024, ++u;
  return u == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", v, unit[u]);
}

Block::Block(std::size_t bytes, Device device)
    : bytes_((std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment), device_(device) {
  require_device(device);
  data_ = cpu_pool().take(bytes_);
}

Block::Block(Block&& o) noexcept
    : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)), device_(o.device_) {}

Block& Block::operator=(Block&& o) noexcept {
  std::swap(data_, o.data_);
  std::swap(bytes_, o.bytes_);
  std::swap(device_, o.device_);
  return *this;
}

Block::~Block() {
  if (data_ != nullptr) cpu_pool().give(data_, bytes_);
}

}  // namespace costate
