// The memory that a device's pool gives out and takes back: what Block (core/memory.h) and arenas (core/arena.h) stand on.
#pragma once

#include <cstddef>

#include "core/device.h"

namespace costate {

/// Throws where none is left, not even after all that is kept without need has gone back.
void* take_from_pool(Device d, std::size_t bytes);
/// `bytes` as they were asked for.
void give_to_pool(Device d, void* p, std::size_t bytes) noexcept;

/// Off: every block is one of the device's own and goes back at once, for what watches its ends. Builds with a sanitizer start so.
void set_pooling(bool on);

}  // namespace costate
