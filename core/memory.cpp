// Size-keyed free lists over aligned system blocks, one mutex; a free block is kept for the next equal request.
#include "core/memory.h"

#include <array>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/kernels/memory.h"

namespace costate {
namespace {

constexpr std::size_t alignment = 64;
// Cached blocks may hold at most this share of the peak (and always 64 MiB), so that a run never doubles its memory.
constexpr std::size_t cache_floor = std::size_t{64} << 20;

class Pool {
 public:
  explicit Pool(Device device) : device_(device) {}

  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    void* p = nullptr;
    if (auto it = free_.find(bytes); it != free_.end() && !it->second.empty()) {
      p = it->second.back();
      it->second.pop_back();
      cached_ -= bytes;
    } else {
      allocate_kernel.always(device_, bytes, p);
      if (p == nullptr) {
        drop_cached();
        allocate_kernel.always(device_, bytes, p);
      }
      require(p != nullptr,
              "memory: cannot allocate {} on {} ({} in use, {} at most so far); use a smaller batch, image or network",
              format_bytes(static_cast<std::int64_t>(bytes)), name_of(device_), format_bytes(use_.live),
              format_bytes(use_.peak));
    }
    use_.live += static_cast<std::int64_t>(bytes);
    use_.peak = std::max(use_.peak, use_.live);
    return p;
  }

  void give(void* p, std::size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    use_.live -= static_cast<std::int64_t>(bytes);
    if (cached_ + bytes > std::max(cache_floor, static_cast<std::size_t>(use_.peak) / 4)) {
      release_kernel.always(device_, p);
      return;
    }
    try {
      free_[bytes].push_back(p);
      cached_ += bytes;
    } catch (...) {
      release_kernel.always(device_, p);
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
      for (void* p : blocks) release_kernel.always(device_, p);
    free_.clear();
    cached_ = 0;
  }

  Device device_;
  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::size_t cached_ = 0;
  MemoryUse use_;
};

// Never destroyed: tensors of static lifetime may be freed after it otherwise.
Pool& pool(Device d) {
  static std::array<Pool, device_count>& pools =
      *new std::array<Pool, device_count>{Pool(Device::cpu), Pool(Device::cuda)};
  return pools[static_cast<std::size_t>(d)];
}

}  // namespace

bool is_built(Device d) { return d == Device::cpu || open_kernel.cuda != nullptr; }
void require_device(Device d) { open_kernel.always(d); }

MemoryUse memory_use(Device d) { return pool(d).use(); }
void reset_peak(Device d) { pool(d).reset(); }
void release_cached(Device d) { pool(d).release(); }

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
  data_ = pool(device_).take(bytes_);
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
  if (data_ != nullptr) pool(device_).give(data_, bytes_);
}

}  // namespace costate
