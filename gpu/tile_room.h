// A block's shared memory where the copy engine fills its tiles: arrivals, then tiles from a multiple of 1024 bytes on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gpu/ptx.h"

namespace costate::cuda {

constexpr std::size_t arrivals_room = 1024;

/// With so many bytes of tiles; at most 1023 are up to a multiple of 1024.
inline std::size_t tile_room(int tiles) { return 2 * arrivals_room + static_cast<std::size_t>(tiles); }

__device__ inline unsigned char* first_tile() {
  unsigned char* const behind = dynamic_shared<unsigned char>() + arrivals_room;
  return behind + (1024 - reinterpret_cast<std::uintptr_t>(behind) % 1024) % 1024;
}

}  // namespace costate::cuda
