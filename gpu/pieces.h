// How the terms of a product are cut: by their number alone.
#pragma once

#include <cstdint>

namespace costate::cuda {

inline std::int64_t pieces_of(std::int64_t extent, std::int64_t piece) {
  return extent == 0 ? 1 : (extent + piece - 1) / piece;
}

/// How many terms a piece of `k` has, about `length`: a multiple of every tile's depth, all pieces but the last of one size.
inline std::int64_t piece_of(std::int64_t k, std::int64_t length) {
  const std::int64_t pieces = k < 3 * length / 2 ? 1 : (k + length / 2) / length, unit = 32;
  return ((k + pieces - 1) / pieces + unit - 1) / unit * unit;
}

}  // namespace costate::cuda
