// Reference-counted bytes under tensors. Immutable once shared, so kernels may hang derived layouts on them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/memory.h"

namespace costate {

class Storage {
 public:
  Storage(std::size_t bytes, Device device) : block_(bytes, device), data_(block_.data()) {}
  /// Host memory of others, kept by `owner` and never written here: a mapped file.
  Storage(const void* data, std::shared_ptr<const void> owner)
      : data_(const_cast<void*>(data)), owner_(std::move(owner)) {}

  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] bool borrowed() const { return owner_ != nullptr; }
  [[nodiscard]] Device device() const { return block_.device(); }

  /// A layout computed from these bytes (packed panels, a Winograd transform ...), made on first use, kept as long as the
  /// storage lives, counted by the allocator if it holds Blocks. `key` names the layout and everything it depends on.
  template <class T, class Make>
  std::shared_ptr<const T> derived(const std::string& key, Make&& make) const {
    const std::lock_guard lock(mutex_);
    auto& slot = derived_[key];
    if (!slot) slot = std::make_shared<const T>(make());
    return std::static_pointer_cast<const T>(slot);
  }

  /// The bytes are about to be written anew, by who alone holds them.
  void forget_derived() { derived_.clear(); }

 private:
  Block block_;
  void* data_;
  std::shared_ptr<const void> owner_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<const void>> derived_;
};

}  // namespace costate
