// Division by a number that stays the same, as a multiplication.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace costate::cuda {

/// Quotients of 0 <= n < 2^31 by d >= 1: with 2^s >= d, n / d = (n m) >> (31 + s) for m = ceil(2^(31 + s) / d), exactly, since
/// m d - 2^(31 + s) < d <= 2^s (Granlund and Montgomery 1994, theorem 4.2).
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(std::int64_t d) {
    while ((std::int64_t{1} << shift_) < d) ++shift_;
    factor_ = static_cast<unsigned>(((std::uint64_t{1} << (31 + shift_)) + static_cast<std::uint64_t>(d) - 1) /
                                    static_cast<std::uint64_t>(d));
  }
  __device__ int quotient(int n) const {
    return static_cast<int>((std::uint64_t{static_cast<unsigned>(n)} * factor_) >> (31 + shift_));
  }

 private:
  unsigned factor_ = 0, shift_ = 0;
};

}  // namespace costate::cuda
