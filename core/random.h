// Counter-based normal noise: a pure function of (seed, sample, step, element), so it never depends on batch, threads or order.
#pragma once

#include <cstdint>

#include "core/philox.h"
#include "core/tensor.h"

namespace costate {

/// Standard normal noise (count, sample_shape...): row i belongs to sample `first_sample + i`. Element pairs 2k, 2k + 1 of a
/// sample use counter {k, step, sample low, sample high} under the key `seed`.
Tensor normal_noise(std::uint64_t seed, std::uint64_t first_sample, std::int64_t count, std::uint32_t step,
                    const Shape& sample_shape, Kind kind = DType::f64);

}  // namespace costate
