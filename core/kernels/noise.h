// Standard normal noise by counters.
#pragma once

#include <cstdint>

#include "core/kernel.h"
#include "core/philox.h"
#include "core/tensor.h"

namespace costate {

/// What noise is a function of, besides the place in the sample.
struct NoiseStream {
  std::uint64_t seed, first_sample;
  std::uint32_t step;

  [[nodiscard]] constexpr std::array<std::uint32_t, 4> counter(std::int64_t row, std::int64_t k) const {
    const std::uint64_t sample = first_sample + static_cast<std::uint64_t>(row);
    return {static_cast<std::uint32_t>(k), step, static_cast<std::uint32_t>(sample),
            static_cast<std::uint32_t>(sample >> 32)};
  }
  [[nodiscard]] constexpr Philox::Key key() const {
    return {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  }
  /// Elements 2k and 2k + 1 of row `row`.
  [[nodiscard]] constexpr std::array<double, 2> pair(std::int64_t row, std::int64_t k) const {
    return normal_pair(philox4x32(counter(row, k), key()));
  }
};

namespace cpu {
void noise(const NoiseStream& stream, Tensor& y);
/// Pairs [first, first + count) of row 0, in f64.
void normal_pairs(const NoiseStream& stream, std::int64_t first, std::int64_t count, double* out);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::noise) noise;
}  // namespace cuda

/// y (rows, ...), f32 or f64; the same bits on every device.
inline constexpr Kernel<void(const NoiseStream&, Tensor&)> noise_kernel{"normal_noise", cpu::noise, cuda::noise};

}  // namespace costate
