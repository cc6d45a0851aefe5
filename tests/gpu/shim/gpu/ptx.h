// Stands in for gpu/ptx.h on the host: what the instructions do, by exchanges within a warp. A copy arrives as late as it may. Products are
// in shim/products.cpp.
#pragma once

#include <cuda_runtime.h>

#include "core/dtype.h"

namespace costate::cuda {

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(shim::dynamic_shared());
}

template <class T>
T power_of_two(T x) {
  return std::exp2(x);
}

inline std::uint32_t bf16_pair(float low, float high) {
  return std::uint32_t{bf16(low).bits} | std::uint32_t{bf16(high).bits} << 16;
}

inline void copy_16(void* shared, const void* from, bool inside) {
  shim::copy_later(shared, inside ? from : nullptr, 16);
}
template <class Word>
void copy_word(Word* shared, const Word* from) {
  shim::copy_later(shared, from, sizeof(Word));
}
template <class Word>
Word load_word(const void* from) {
  return *static_cast<const Word*>(from);
}
template <class Word>
void store_word(void* to, const Word& word) {
  *static_cast<Word*>(to) = word;
}
inline void copies_end_group() { shim::end_copy_group(); }
template <int n>
void copies_wait() {
  shim::wait_for_copies(n);
}

inline void cluster_arrive() { shim::come_to_cluster(true); }
inline void cluster_arrive_without_news() { shim::come_to_cluster(false); }
inline void cluster_wait() { shim::wait_for_cluster(); }
template <class T>
const T* of_block(const T* shared, unsigned rank) {
  return static_cast<const T*>(shim::in_block(shared, rank));
}

inline float fast_reciprocal(float x) { return 1 / x; }

template <bool transposed>
void load_matrices(std::uint32_t (&out)[4], const void* row) {
  const shim::OfWarp rows(row);
  const unsigned lane = shim::lane_id(), r = lane / 4, c = lane % 4 * 2;
  for (unsigned matrix = 0; matrix < 4; ++matrix) {
    const auto element = [&](unsigned i, unsigned j) {
      return std::uint32_t{static_cast<const std::uint16_t*>(rows[matrix * 8 + i])[j]};
    };
    out[matrix] = transposed ? element(c, r) | element(c + 1, r) << 16 : element(r, c) | element(r, c + 1) << 16;
  }
}

void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);
void multiply_add_tf32(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);
inline void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  c[0] = c[1] = c[2] = c[3] = 0;
  multiply_add(c, a, b0, b1);
}

inline std::uint32_t to_tf32(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return std::isfinite(x) ? (bits + 0x1000U) & ~0x1FFFU : bits;
}

}  // namespace costate::cuda
