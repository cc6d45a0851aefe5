// Stands in for gpu/ptx_sm90.h on the host. Boxes and products are made as late as they may.
#pragma once

#include <cuda.h>

#include "core/dtype.h"

namespace costate::cuda {

inline constexpr bool warp_groups_here = true;
using TensorMap = CUtensorMap;
using Arrival = std::uint64_t;

inline void start_arrival(Arrival* arrival) { shim::start_arrival(arrival); }
inline void arrivals_started() {}
inline void expect_bytes(Arrival* arrival, unsigned bytes) { shim::expect_bytes(arrival, bytes); }
inline void wait_for_bytes(Arrival* arrival, bool odd) { shim::wait_for_bytes(arrival, odd); }
inline void copy_box(void* to, const TensorMap& map, int i, int j, int k, int l, Arrival* arrival) {
  shim::box_later(to, map, {i, j, k, l}, {0, 0}, arrival);
}
inline void copy_patches(void* to, const TensorMap& map, int channel, int column, int row, int image, int right,
                         int down, Arrival* arrival) {
  shim::box_later(to, map, {channel, column, row, image}, {right, down}, arrival);
}

struct Terms {
  const char* at;
  unsigned rows_64;
  Terms(const void* shared, unsigned rows) : at(static_cast<const char*>(shared)), rows_64(rows) {}

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

inline void products_may_start() { shim::products_may_start(); }
inline void products_end_group() { shim::products_end_group(); }
template <int n>
void products_wait() {
  shim::products_wait(n);
}

template <class T, bool a_across, bool b_across, std::size_t values>
void multiply_terms(float (&c)[values], const Terms& a, const Terms& b) {
  const unsigned lane = shim::lane_id(), warp = threadIdx.x / 32 % 4;
  shim::product_later([&c, a, b, lane, warp] {
    const unsigned m = warp * 16 + lane / 4;
    for (unsigned k = 0; k < 32 / sizeof(T); ++k) {
      const float left[2] = {a.term<T, a_across>(m, k), a.term<T, a_across>(m + 8, k)};
      for (unsigned i = 0; i < values; i += 4) {
        for (unsigned e = 0; e < 2; ++e) {
          const float right = b.term<T, b_across>(i / 4 * 8 + lane % 4 * 2 + e, k);
          c[i + e] += left[0] * right;
          c[i + 2 + e] += left[1] * right;
        }
      }
    }
  });
}

template <bool a_across, bool b_across, std::size_t values>
void multiply_group(float (&c)[values], const Terms& a, const Terms& b) {
  multiply_terms<bf16, a_across, b_across>(c, a, b);
}
template <std::size_t values>
void multiply_group_tf32(float (&c)[values], const Terms& a, const Terms& b) {
  multiply_terms<float, false, false>(c, a, b);
}

}  // namespace costate::cuda
