// Noise sources: asked for a step, never for "the next" number, so that a replay gives the same.
#pragma once

#include <cstdint>
#include <functional>

#include "core/tensor.h"

namespace costate {

/// Standard normal noise (n, ...) of a step, in the shape and dtype of `like`; a pure function of the step.
using Noise = std::function<Tensor(int step, const Tensor& like)>;

/// No noise: asking for some throws.
Noise no_noise();
/// Philox noise of samples first_sample, first_sample + 1, ... Step i takes the generator's step i + 1: its step 0 is
/// x_T's.
Noise fresh_noise(std::uint64_t seed, std::uint64_t first_sample);
/// Recorded noise (steps, n, ...): entry i is that of step i.
Noise recorded_noise(const Tensor& noise);

}  // namespace costate
