// Counter-based normal noise: a pure function of (seed, sample, step, element), so it never depends on batch, threads or order.
#pragma once

#include <array>
#include <cstdint>

#include "core/tensor.h"

namespace costate {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11): ten rounds on a 128-bit counter.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// Two independent standard normals from 128 random bits (Box and Muller), made of + * fma and integer operations only, so that
/// every device gives the same bits.
std::array<double, 2> normal_pair(const std::array<std::uint32_t, 4>& bits);

/// Standard normal noise (count, sample_shape...): row i belongs to sample `first_sample + i`. Element pairs 2k, 2k + 1 of a
/// sample use counter {k, step, sample low, sample high} under the key `seed`.
Tensor normal_noise(std::uint64_t seed, std::uint64_t first_sample, std::int64_t count, std::uint32_t step,
                    const Shape& sample_shape, DType dtype = DType::f64);

}  // namespace costate
