// Rehearsed, settled, and then the same places for the same requests.
#include <utility>

#include "core/arena_state.h"
#include "core/error.h"
#include "core/pool.h"

namespace costate {

void ArenaState::settle() {
  const std::lock_guard lock(mutex_);
  if (settled_) return;
  settled_ = true;
  size_ = static_cast<std::int64_t>(lay_out(requests_));
}

void ArenaState::lie_in(std::shared_ptr<const Block> memory) {
  const std::lock_guard lock(mutex_);
  require(settled_ && live_.empty(), "memory: blocks of work to be repeated cannot move");
  require(!memory || (memory->device() == device_ && memory->bytes() >= static_cast<std::size_t>(size_)),
          "memory: {} on {} are needed for work to be repeated", format_bytes(size_), name_of(device_));
  memory_ = std::move(memory);
  next_ = cursor_ = 0;
}

std::int64_t ArenaState::bytes() {
  const std::lock_guard lock(mutex_);
  return size_;
}

std::pair<void*, std::size_t> ArenaState::take(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (!settled_) {
    if (size_ + static_cast<std::int64_t>(bytes) > most_) refuse(bytes);
    requests_.push_back({bytes, clock_++});
    try {
      const std::pair<void*, std::size_t> got{take_from_pool(device_, bytes), requests_.size() - 1};
      size_ += static_cast<std::int64_t>(bytes);
      return got;
    } catch (...) {
      requests_.pop_back();
      throw;
    }
  }
  if (next_ == requests_.size() && live_.empty()) next_ = 0;
  if (!memory_ || next_ == requests_.size() || requests_[next_].bytes != bytes) refuse(bytes);
  const std::size_t at = requests_[next_].at;
  const auto after = live_.lower_bound(at + bytes);  // whatever lives longer than it did is not written over
  if (after != live_.begin() && std::prev(after)->second > at) refuse(bytes);
  live_[at] = at + bytes;
  return {place(at), next_++};
}

bool ArenaState::give(std::size_t request, const void* p) {
  const std::lock_guard lock(mutex_);
  Request& r = requests_[request];
  if (memory_ && p == place(r.at)) return live_.erase(r.at) > 0;
  if (!settled_) r.to = clock_++, size_ -= static_cast<std::int64_t>(r.bytes);
  return false;
}

void* ArenaState::somewhere(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (!memory_) refuse(bytes);
  if (cursor_ + bytes > static_cast<std::size_t>(size_)) cursor_ = 0;
  return place(std::exchange(cursor_, cursor_ + bytes));
}

void ArenaState::refuse(std::size_t bytes) const {
  fail("memory: cannot allocate {} on {} for work to be repeated", format_bytes(static_cast<std::int64_t>(bytes)),
       name_of(device_));
}

namespace {

thread_local const Arena::Use* in_use = nullptr;

}  // namespace

const Arena::Use* arena_in_use() { return in_use; }

Arena::Arena(Device device, std::int64_t most) : state_(std::make_shared<ArenaState>(device, most)) {}
Arena::~Arena() = default;
void Arena::settle() { state_->settle(); }
void Arena::lie_in(std::shared_ptr<const Block> memory) { state_->lie_in(std::move(memory)); }
std::int64_t Arena::bytes() const { return state_->bytes(); }
Arena::Use::Use(const Arena& arena, Touch touch)
    : arena_(arena.state_), touch_(touch), before_(std::exchange(in_use, this)) {}
Arena::Use::~Use() { in_use = before_; }

}  // namespace costate
