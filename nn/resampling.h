// The ways a network halves or doubles an image without weights.
#pragma once

#include "core/tensor.h"

namespace costate {

enum class Resampling {
  none,
  mean_down,   ///< means of 2 x 2 blocks
  nearest_up,  ///< every pixel twice in each direction
  fir_down,    ///< filtered with (1, 3, 3, 1) / 8 in each direction, then every second pixel; zeros around
  fir_up,      ///< zeros put between, then the same filter, twice as strong in each direction
};

/// x (n, h, w, c) at half or twice the size.
[[nodiscard]] Tensor resample(Resampling how, const Tensor& x);

}  // namespace costate
