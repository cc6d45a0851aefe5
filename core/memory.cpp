// Blocks of a device's pool, and of an arena where the thread is inside one.
#include "core/memory.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/arena_state.h"
#include "core/error.h"
#include "core/kernels/memory.h"
#include "core/pool.h"

namespace costate {
namespace {

constexpr std::size_t alignment = 64;

}  // namespace

bool is_built(Device d) { return d == Device::cpu || open_kernel.cuda != nullptr; }
void require_device(Device d) { open_kernel.always(d); }

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
  const Arena::Use* const use = arena_in_use();
  if (use == nullptr || use->arena_->device() != device) {
    data_ = take_from_pool(device_, bytes_);
  } else if (use->touch_ == Arena::Touch::no) {
    data_ = use->arena_->somewhere(bytes_);
    from_ = From::nobody;
  } else {
    arena_ = use->arena_;
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
  if (from_ == From::pool || !arena_->give(request_, data_)) give_to_pool(device_, data_, bytes_);
}

}  // namespace costate
