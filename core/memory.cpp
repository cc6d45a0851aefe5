// Two ways to give a block out, under one mutex a device. Small ones: free lists by size over the system's blocks. Large ones:
// pieces of segments, the smallest that holds the request, cut to size, and joined with their neighbours when they come back;
// so a run that repeats itself asks the system for nothing, whatever sizes it mixes.
#include "core/memory.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <new>
#include <tuple>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "core/error.h"
#include "core/kernels/memory.h"
#include "core/layout.h"
#include "core/pieces.h"

namespace costate {
namespace {

constexpr std::size_t alignment = 64;
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

class Pool {
 public:
  explicit Pool(Device device) : device_(device), small_(device), large_(device) {}

  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    void* p = find(bytes);
    if (p == nullptr) {
      give_back();
      p = find(bytes);
    }
    const auto size = static_cast<std::int64_t>(bytes);
    if (p == nullptr)
      fail("memory: cannot allocate {} on {} ({} in use, {} at most so far); use a smaller batch, image or network",
           format_bytes(size), name_of(device_), format_bytes(use_.live), format_bytes(use_.peak));
    use_.live += size;
    use_.peak = std::max(use_.peak, use_.live);
    return p;
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

 private:
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

// Never destroyed: tensors of static lifetime may be freed after it otherwise.
Pool& pool(Device d) {
  static std::array<Pool, device_count>& pools =
      *new std::array<Pool, device_count>{Pool(Device::cpu), Pool(Device::cuda)};
  return pools[static_cast<std::size_t>(d)];
}

}  // namespace

/// Until it is settled, blocks have the pool's memory, and it is noted how large they are and how long each lives.
struct ArenaState {
  ArenaState(Device d, std::int64_t m) : device(d), most(m) {}

  void settle() {
    const std::lock_guard lock(mutex);
    if (settled) return;
    settled = true;
    size = static_cast<std::int64_t>(lay_out(requests));
  }

  void lie_in(std::shared_ptr<const Block> now) {
    const std::lock_guard lock(mutex);
    require(settled && live.empty(), "memory: blocks of work to be repeated cannot move");
    require(!now || (now->device() == device && now->bytes() >= static_cast<std::size_t>(size)),
            "memory: {} on {} are needed for work to be repeated", format_bytes(size), name_of(device));
    memory = std::move(now);
    next = cursor = 0;
  }
  [[nodiscard]] std::byte* place(std::size_t at) const { return static_cast<std::byte*>(memory->data()) + at; }

  /// A block, and which request it was.
  std::pair<void*, std::size_t> take(std::size_t bytes) {
    const std::lock_guard lock(mutex);
    if (!settled) {
      if (size + static_cast<std::int64_t>(bytes) > most) refuse(bytes);
      requests.push_back({bytes, clock++});
      try {
        const std::pair<void*, std::size_t> got{pool(device).take(bytes), requests.size() - 1};
        size += static_cast<std::int64_t>(bytes);
        return got;
      } catch (...) {
        requests.pop_back();
        throw;
      }
    }
    if (next == requests.size() && live.empty()) next = 0;
    if (!memory || next == requests.size() || requests[next].bytes != bytes) refuse(bytes);
    const std::size_t at = requests[next].at;
    const auto after = live.lower_bound(at + bytes);  // whatever lives longer than it did is not written over
    if (after != live.begin() && std::prev(after)->second > at) refuse(bytes);
    live[at] = at + bytes;
    return {place(at), next++};
  }

  /// Whether the block's memory is the arena's own.
  bool give(std::size_t request, const void* p) {
    const std::lock_guard lock(mutex);
    Request& r = requests[request];
    if (memory && p == place(r.at)) return live.erase(r.at) > 0;
    if (!settled) r.to = clock++, size -= static_cast<std::int64_t>(r.bytes);
    return false;
  }

  /// Some address for a block that is neither read nor written: inside, if it fits there.
  void* somewhere(std::size_t bytes) {
    const std::lock_guard lock(mutex);
    if (!memory) refuse(bytes);
    if (cursor + bytes > static_cast<std::size_t>(size)) cursor = 0;
    return place(std::exchange(cursor, cursor + bytes));
  }

  [[noreturn]] void refuse(std::size_t bytes) const {
    fail("memory: cannot allocate {} on {} for work to be repeated", format_bytes(static_cast<std::int64_t>(bytes)),
         name_of(device));
  }

  Device device;
  std::int64_t most, size = 0;  ///< in use; once settled, of the memory that they need
  std::mutex mutex;
  std::vector<Request> requests;
  int clock = 0;
  bool settled = false;
  std::shared_ptr<const Block> memory;
  std::size_t next = 0;
  std::map<std::size_t, std::size_t> live;  ///< blocks in its memory, from and to
  std::size_t cursor = 0;
};

namespace {

thread_local const Arena::Use* in_use = nullptr;

}  // namespace

Arena::Arena(Device device, std::int64_t most) : state_(std::make_shared<ArenaState>(device, most)) {}
Arena::~Arena() = default;
void Arena::settle() { state_->settle(); }
void Arena::lie_in(std::shared_ptr<const Block> memory) { state_->lie_in(std::move(memory)); }
std::int64_t Arena::bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->size;
}
Arena::Use::Use(const Arena& arena, Touch touch)
    : arena_(arena.state_), touch_(touch), before_(std::exchange(in_use, this)) {}
Arena::Use::~Use() { in_use = before_; }

bool is_built(Device d) { return d == Device::cpu || open_kernel.cuda != nullptr; }
void require_device(Device d) { open_kernel.always(d); }

MemoryUse memory_use(Device d) { return pool(d).use(); }
void reset_peak(Device d) { pool(d).reset(); }
void release_cached(Device d) { pool(d).release(); }
void set_pooling(bool on) { pooled = on; }

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
  if (in_use == nullptr || in_use->arena_->device != device) {
    data_ = pool(device_).take(bytes_);
  } else if (in_use->touch_ == Arena::Touch::no) {
    data_ = in_use->arena_->somewhere(bytes_);
    from_ = From::nobody;
  } else {
    arena_ = in_use->arena_;
    std::tie(data_, request_) = arena_->take(bytes_);
    from_ = From::arena;
  }
}

Block::Block(Block&& o) noexcept { *this = std::move(o); }

Block& Block::operator=(Block&& o) noexcept {
  std::swap(data_, o.data_);
  std::swap(bytes_, o.bytes_);
  std::swap(device_, o.device_);
  std::swap(from_, o.from_);
  std::swap(arena_, o.arena_);
  std::swap(request_, o.request_);
  return *this;
}

Block::~Block() {
  if (data_ == nullptr || from_ == From::nobody) return;
  if (from_ == From::pool || !arena_->give(request_, data_)) pool(device_).give(data_, bytes_);
}

}  // namespace costate
