// Two ways to give a block out, under one mutex a device. Small ones: free lists by size over the system's blocks. Large ones:
// pieces of segments, the smallest that holds the request, cut to size, and joined with their neighbours when they come back;
// so a run that repeats itself asks the system for nothing, whatever sizes it mixes.
#include "core/memory.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "core/error.h"
#include "core/kernels/memory.h"

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

/// Segments in pieces, which follow each other without gaps.
class Segments {
 public:
  /// `keeps`: what is free stays, even where blocks are not pooled.
  explicit Segments(Device device, std::size_t least = segment, bool keeps = false)
      : device_(device), least_(least), keeps_(keeps) {}

  /// Null where the system has none, or would have to give more than `most`.
  void* take(std::size_t bytes, std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
    auto found = free_.lower_bound({bytes, nullptr});
    if (found == free_.end()) {
      if (static_cast<std::int64_t>(bytes) > most) return nullptr;
      if (!add(keeps_ || pooled ? std::max(bytes, least_) : bytes) && !add(bytes)) return nullptr;
      found = free_.lower_bound({bytes, nullptr});
    }
    std::byte* p = found->second;
    free_.erase(found);
    Piece& piece = pieces_.at(p);
    piece.free = false;
    if (piece.bytes > bytes) {
      pieces_[p + bytes] = {piece.bytes - bytes, true, false};
      free_.insert({piece.bytes - bytes, p + bytes});
      piece.bytes = bytes;
    }
    return p;
  }

  void give(void* data) {
    auto piece = pieces_.find(static_cast<std::byte*>(data));
    piece->second.free = true;
    if (const auto next = std::next(piece); next != pieces_.end() && next->second.free && !next->second.opens) {
      free_.erase({next->second.bytes, next->first});
      piece->second.bytes += next->second.bytes;
      pieces_.erase(next);
    }
    if (!piece->second.opens && std::prev(piece)->second.free) {
      const auto before = std::prev(piece);
      free_.erase({before->second.bytes, before->first});
      before->second.bytes += piece->second.bytes;
      pieces_.erase(piece);
      piece = before;
    }
    free_.insert({piece->second.bytes, piece->first});
    if (!keeps_ && !pooled) release();
  }

  [[nodiscard]] std::int64_t bytes() const { return bytes_; }  ///< of all segments

  /// Segments that are free from end to end go back to the system.
  void release() {
    for (auto it = pieces_.begin(); it != pieces_.end();) {
      const auto next = std::next(it);
      const bool whole = it->second.opens && it->second.free && (next == pieces_.end() || next->second.opens);
      if (whole) {
        free_.erase({it->second.bytes, it->first});
        bytes_ -= static_cast<std::int64_t>(it->second.bytes);
        release_kernel.always(device_, it->first);
        pieces_.erase(it);
      }
      it = next;
    }
  }

 private:
  struct Piece {
    std::size_t bytes;
    bool free;
    bool opens;  ///< a segment, so it does not join what lies before it
  };

  bool add(std::size_t bytes) {
    auto* p = static_cast<std::byte*>(raw(device_, bytes));
    if (p == nullptr) return false;
    bytes_ += static_cast<std::int64_t>(bytes);
    pieces_[p] = {bytes, true, true};
    free_.insert({bytes, p});
    return true;
  }

  Device device_;
  std::size_t least_;
  bool keeps_;
  std::int64_t bytes_ = 0;
  std::map<std::byte*, Piece> pieces_;
  std::set<std::pair<std::size_t, std::byte*>> free_;
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

  /// Memory that an arena takes, or gives back.
  void count(std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    use_.live += bytes;
    use_.peak = std::max(use_.peak, use_.live);
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

struct Arena::State {
  State(Device d, std::int64_t m) : device(d), most(m), segments(d, std::size_t{8} << 20, true) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    pool(device).count(-segments.bytes());
    segments.release();
  }

  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex);
    const std::int64_t before = segments.bytes();
    void* p = segments.take(bytes, most - before);
    pool(device).count(segments.bytes() - before);
    require(p != nullptr, "memory: cannot allocate {} on {} for work to be repeated",
            format_bytes(static_cast<std::int64_t>(bytes)), name_of(device));
    return p;
  }

  Device device;
  std::int64_t most;
  std::mutex mutex;
  Segments segments;
};

namespace {

/// Blocks of arenas that are in use, each with what keeps its memory.
class Lent {
 public:
  void* take(const std::shared_ptr<Arena::State>& arena, std::size_t bytes) {
    void* p = arena->take(bytes);
    const std::lock_guard lock(mutex_);
    blocks_[p] = arena;
    ++count_;
    return p;
  }
  /// False for a block of no arena.
  bool give(void* p) noexcept {
    if (count_ == 0) return false;
    std::shared_ptr<Arena::State> arena;
    {
      const std::lock_guard lock(mutex_);
      const auto found = blocks_.find(p);
      if (found == blocks_.end()) return false;
      arena = std::move(found->second);
      blocks_.erase(found);
      --count_;
    }
    const std::lock_guard lock(arena->mutex);
    arena->segments.give(p);
    return true;
  }

 private:
  std::atomic<std::int64_t> count_ = 0;
  std::mutex mutex_;
  std::unordered_map<void*, std::shared_ptr<Arena::State>> blocks_;
};
Lent& lent() {
  static Lent& all = *new Lent;
  return all;
}

thread_local const std::shared_ptr<Arena::State>* in_use = nullptr;

}  // namespace

Arena::Arena(Device device, std::int64_t most) : state_(std::make_shared<State>(device, most)) {}
Arena::~Arena() = default;
std::int64_t Arena::bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->segments.bytes();
}
Arena::Use::Use(const Arena& arena) : before_(std::exchange(in_use, &arena.state_)) {}
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
  const bool own = in_use != nullptr && (*in_use)->device == device;
  data_ = own ? lent().take(*in_use, bytes_) : pool(device_).take(bytes_);
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
  if (data_ != nullptr && !lent().give(data_)) pool(device_).give(data_, bytes_);
}

}  // namespace costate
