// A Brownian path in lambda for every element of every sample, addressed by (seed, sample, time); nothing is stored.
#pragma once

#include "solvers/noise.h"

namespace costate {

/// Noise whose draws are increments and areas of one path: two samplers, or one with more steps, follow the same path.
/// Lambda is cut into intervals of length 1, each with its increment W and space-time Levy area H from its own counter of
/// the generator, and each of those is halved, W and H together, as often as an address needs it, 2^-30 at the finest: levels are
/// rounded to that. Draws that stand for no interval, and those from pure noise, are fresh_noise's.
Noise tree_noise(std::uint64_t seed, std::uint64_t first_sample);

}  // namespace costate
