// Noise sources: asked for a draw by its place, never for "the next" number, so that a replay gives the same.
#pragma once

#include <cstdint>
#include <functional>

#include "core/tensor.h"

namespace costate {

/// Which draw: the `part`-th of a step. It stands for the increment of a Brownian path W, which runs in lambda, over the
/// interval from s to s' of the clock s = sigma / alpha: W / sqrt(h) with h = ln(s / s'). Where s = s' it stands for none.
struct Draw {
  int step = 0, part = 0;
  /// The path's space-time Levy area in place of its increment: sqrt(12 / h) H, H = (1 / h) int (W_u - u W / h) du over the
  /// interval. Standard normal too, and independent of the increment.
  bool area = false;
  double from = 0, to = 0;
};

/// Standard normal noise (n, ...) of a draw, in the shape and dtype of `like`.
using Noise = std::function<Tensor(const Draw& draw, const Tensor& like)>;

/// No noise: asking for some throws.
Noise no_noise();
/// Philox noise of samples first_sample, first_sample + 1, ... Step i takes the generator's step i + 1: its step 0 is
/// x_T's. The interval has no influence.
Noise fresh_noise(std::uint64_t seed, std::uint64_t first_sample);
/// Recorded noise (draws, n, ...), handed out in the order in which draws are first asked for; a draw that is asked for
/// again, in a replay, is the same again. One sampler's: a copy shares what was handed out.
Noise recorded_noise(const Tensor& noise);

}  // namespace costate
