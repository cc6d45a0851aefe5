// A count of the multiplications and additions of convolutions and matrix products: what `costate info` reports.
#pragma once

#include <atomic>
#include <cstdint>

namespace costate {

/// Floating-point operations asked of the convolution and matrix product ops since the process started, by all threads.
inline std::atomic<std::int64_t>& flop_counter() {
  static std::atomic<std::int64_t> count{0};
  return count;
}

/// Two operations (multiply, add) for each of `outputs` elements that sum `terms` products.
inline void count_products(std::int64_t outputs, std::int64_t terms) {
  flop_counter().fetch_add(2 * outputs * terms, std::memory_order_relaxed);
}

}  // namespace costate
