// Stands in for gpu/ptx_groups.h on the host. Products are made as late as they may (shim/products.cpp).
#pragma once

#include <array>

#include "gpu/ptx_sm90.h"

namespace costate::cuda {

/// What a thread of a product has of the left factor: its lane's row and the one 8 further, in shared memory, or spread over the registers of
/// four lanes, pairs of terms as in m16n8k16 or, in TF32, single ones as in m16n8k8. Both are read when the product is made.
struct Left {
  Terms shared;
  bool across = false;
  std::array<const std::uint32_t*, 4> registers{};
};
inline Left left_in_registers(const std::uint32_t (&a)[4]) {
  const shim::OfWarp all(static_cast<const std::uint32_t*>(a));
  Left left{Terms(nullptr, 0)};
  for (unsigned i = 0; i < 4; ++i) left.registers[i] = all[shim::lane_id() / 4 * 4 + i];
  return left;
}

struct ProductKind {
  bool tf32, b_across, adds;
};
/// c += left b, or c = left b, for the `values` of a thread: later.
void multiply_later(float* c, unsigned values, const Left& left, const Terms& b, ProductKind kind);

template <bool a_across, bool b_across, bool adds = true, std::size_t values>
void multiply_group(float (&c)[values], const Terms& a, const Terms& b) {
  multiply_later(c, values, {a, a_across}, b, {false, b_across, adds});
}
template <bool b_across, bool adds = true, std::size_t values>
void multiply_group(float (&c)[values], const std::uint32_t (&a)[4], const Terms& b) {
  multiply_later(c, values, left_in_registers(a), b, {false, b_across, adds});
}
template <std::size_t values>
void multiply_group_tf32(float (&c)[values], const Terms& a, const Terms& b) {
  multiply_later(c, values, {a}, b, {true, false, true});
}
template <std::size_t values>
void multiply_group_tf32(float (&c)[values], const std::uint32_t (&a)[4], const Terms& b) {
  multiply_later(c, values, left_in_registers(a), b, {true, false, true});
}

}  // namespace costate::cuda
