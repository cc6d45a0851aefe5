// Stands in for gpu/ptx_sm90.h on the host. Boxes are made as late as they may.
#pragma once

#include <cuda.h>

#include "core/dtype.h"
#include "tests/gpu/shim/races.h"

namespace costate::cuda {

inline constexpr bool warp_groups_here = true;
using TensorMap = CUtensorMap;
using Arrival = std::uint64_t;

inline void start_arrival(Arrival* arrival, unsigned threads) { shim::start_arrival(arrival, threads); }
inline void copies_follow() { shim::races::fence(); }
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
};

// A warp does these together.
inline void products_may_start() {
  shim::products_may_start();
  shim::warp_together();
}
inline void products_end_group() { shim::products_end_group(); }
template <int n>
void products_wait() {
  shim::products_wait(n);
  shim::warp_together();
}
template <class T, std::size_t n>
void products_let_go(T (&)[n]) {}

}  // namespace costate::cuda
