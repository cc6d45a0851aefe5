// Stands in for gpu/ptx_groups.h on the host. Products are made as late as they may.
#pragma once

#include <algorithm>
#include <array>
#include <bit>

#include "gpu/ptx_sm90.h"

namespace costate::cuda {

/// c += left b; left(half, k) is term k of the lane's first row, or of the one 8 further, when the product is made.
template <class T, bool b_across, bool adds, std::size_t values, class Left>
void multiply_terms(float (&c)[values], const Left& left, const Terms& b) {
  const unsigned column = shim::lane_id() % 4 * 2;
  shim::product_later([&c, left, b, column] {
    if constexpr (!adds) std::fill(c, c + values, 0.0F);
    for (unsigned k = 0; k < 32 / sizeof(T); ++k) {
      const float both[2] = {left(0, k), left(1, k)};
      for (unsigned i = 0; i < values; i += 4) {
        for (unsigned e = 0; e < 2; ++e) {
          const float right = b.term<T, b_across>(i / 4 * 8 + column + e, k);
          c[i + e] += both[0] * right;
          c[i + 2 + e] += both[1] * right;
        }
      }
    }
  });
}

/// Rows of a in shared memory.
template <class T, bool across>
auto rows_of(const Terms& a) {
  return [a, row = threadIdx.x / 32 % 4 * 16 + shim::lane_id() / 4](unsigned half, unsigned k) {
    return a.term<T, across>(row + half * 8, k);
  };
}

template <bool a_across, bool b_across, bool adds = true, std::size_t values>
void multiply_group(float (&c)[values], const Terms& a, const Terms& b) {
  multiply_terms<bf16, b_across, adds>(c, rows_of<bf16, a_across>(a), b);
}
/// A left factor in the warp's registers: a lane's rows are spread over four lanes; `of` are their registers, read when the product is made.
inline std::array<const std::uint32_t*, 4> registers_of_rows(const std::uint32_t (&a)[4]) {
  const shim::OfWarp registers(static_cast<const std::uint32_t*>(a));
  std::array<const std::uint32_t*, 4> of{};
  for (unsigned i = 0; i < 4; ++i) of[i] = registers[shim::lane_id() / 4 * 4 + i];
  return of;
}
/// Lane 4 r + i has of row r, and of row r + 8, pairs of terms: as the left factor of m16n8k16.
template <bool b_across, bool adds = true, std::size_t values>
void multiply_group(float (&c)[values], const std::uint32_t (&a)[4], const Terms& b) {
  multiply_terms<bf16, b_across, adds>(
      c,
      [of = registers_of_rows(a)](unsigned half, unsigned k) {
        const std::uint32_t pair = of[k % 8 / 2][half + k / 8 * 2];
        bf16 value;
        value.bits = static_cast<std::uint16_t>(k % 2 == 0 ? pair : pair >> 16);
        return static_cast<float>(value);
      },
      b);
}
template <std::size_t values>
void multiply_group_tf32(float (&c)[values], const Terms& a, const Terms& b) {
  multiply_terms<float, false, true>(c, rows_of<float, false>(a), b);
}
/// Single terms, as the left factor of m16n8k8.
template <std::size_t values>
void multiply_group_tf32(float (&c)[values], const std::uint32_t (&a)[4], const Terms& b) {
  multiply_terms<float, false, true>(
      c,
      [of = registers_of_rows(a)](unsigned half, unsigned k) {
        return std::bit_cast<float>(of[k % 4][half + k / 4 * 2]);
      },
      b);
}

}  // namespace costate::cuda
