// Factor-2 resampling of images (n, h, w, c).
#pragma once

#include "core/tensor.h"

namespace costate {

/// Every pixel repeated 2 x 2.
[[nodiscard]] Tensor upsample_nearest2(const Tensor& x);
/// Mean of every 2 x 2 block; h and w are even.
[[nodiscard]] Tensor downsample_mean2(const Tensor& x);

}  // namespace costate
