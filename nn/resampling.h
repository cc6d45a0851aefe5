// The ways a network halves or doubles an image without weights.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace costate {

enum class Resampling {
  none,
  mean_down,      ///< means of 2 x 2 blocks; what is odd is left out at the far ends
  nearest_up,     ///< every pixel twice in each direction
  fir_down,       ///< filtered in each direction, then every second pixel; zeros around
  fir_up,         ///< zeros put between, then the same filter, twice as strong in each direction
  mirrored_down,  ///< fir_down with the image mirrored at its edges instead of zeros; four taps
  mirrored_up,    ///< the same for fir_up
  fir_blur,  ///< filtered; as much larger as a 3 x 3 convolution of stride 2 without padding needs to halve the image
};

/// One direction of a separable filter; symmetric, sum 1.
using Filter = std::vector<double>;

/// StyleGAN2's, as in NCSN++ (Song et al. 2021, arXiv:2011.13456, appendix H).
[[nodiscard]] inline Filter ncsnpp_filter() { return {0.125, 0.375, 0.375, 0.125}; }

/// Taps of a configuration, to sum 1; throws `what` and the reason if they are not symmetric.
[[nodiscard]] Filter make_filter(const std::string& what, const std::vector<std::int64_t>& taps);
/// The filter from the outer product that checkpoints keep, (1, 1, k, k).
[[nodiscard]] Filter filter_from(const Tensor& kernel);

/// x (n, h, w, c) at half or twice the size. (1, 1) / 2 as a filter is mean_down and nearest_up.
[[nodiscard]] Tensor resample(Resampling how, const Tensor& x, const Filter& filter = ncsnpp_filter());

/// x (n, h, w, c) at any size: pixel i is the one at floor(i from / to).
[[nodiscard]] Tensor resize_nearest(const Tensor& x, std::int64_t height, std::int64_t width);

}  // namespace costate
