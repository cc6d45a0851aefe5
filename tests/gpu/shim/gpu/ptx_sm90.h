// Stands in for gpu/ptx_sm90.h on the host. Boxes are made as late as they may.
#pragma once

#include <cuda.h>

#include "core/dtype.h"

namespace costate::cuda {

inline constexpr bool warp_groups_here = true;
using TensorMap = CUtensorMap;
using Arrival = std::uint64_t;

inline void start_arrival(Arrival* arrival, unsigned threads) { shim::start_arrival(arrival, threads); }
inline void arrivals_started() {}
inline void arrive(Arrival* arrival) { shim::arrive(arrival, 0); }
inline void expect_bytes(Arrival* arrival, unsigned bytes) { shim::arrive(arrival, bytes); }
inline void wait_for_round(Arrival* arrival, bool odd) { shim::wait_for_round(arrival, odd); }
inline void copy_box(void* to, const TensorMap& map, int i, int j, int k, int l, Arrival* arrival) {
  shim::box_later(to, map, {i, j, k, l}, {0, 0}, arrival);
}
inline void copy_bytes(void* to, const void* from, unsigned bytes, Arrival* arrival) {
  shim::bytes_later(to, from, bytes, arrival);
}
inline void copy_patches(void* to, const TensorMap& map, int channel, int column, int row, int image, int right,
                         int down, Arrival* arrival) {
  shim::box_later(to, map, {channel, column, row, image}, {right, down}, arrival);
}

struct Terms {
  const char* at;
  unsigned rows_64;
  Terms(const void* shared, unsigned rows) : at(static_cast<const char*>(shared)), rows_64(rows) {}
  Terms operator+(int more) const { return {at + more, rows_64}; }

  /// Term k of a row: words are found by their addresses, as the chip does.
  template <class T, bool across>
  [[nodiscard]] float term(unsigned row, unsigned k) const {
    const char* from = across ? at + row / 64 * rows_64 + k * 128 + row % 64 * 2 : at + row * 128 + k * sizeof(T);
    const auto address = reinterpret_cast<std::uintptr_t>(from);
    T value;
    std::memcpy(&value, reinterpret_cast<const char*>(address ^ (address >> 7 & 7) << 4), sizeof value);
    return static_cast<float>(value);
  }
};

// A warp does these together.
inline void products_may_start() {
  shim::products_may_start();
  __syncwarp();
}
inline void products_end_group() { shim::products_end_group(); }
template <int n>
void products_wait() {
  shim::products_wait(n);
  __syncwarp();
}
template <class T, std::size_t n>
void products_let_go(T (&)[n]) {}

}  // namespace costate::cuda
