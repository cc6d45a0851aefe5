// Compositions: nearest upsampling and mean downsampling as broadcast and sum of a reshaped image.
#include "autodiff/ops/resample.h"

#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sum.h"

namespace costate {

Tensor upsample_nearest2(const Tensor& x) {
  require(x.rank() == 4, "upsample_nearest2: wants (n, h, w, c), got {}", x.shape());
  const std::int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  return reshape(broadcast_to(reshape(x, {n, h, 1, w, 1, c}), {n, h, 2, w, 2, c}), {n, 2 * h, 2 * w, c});
}

Tensor downsample_mean2(const Tensor& x) {
  require(x.rank() == 4 && x.dim(1) % 2 == 0 && x.dim(2) % 2 == 0,
          "downsample_mean2: wants (n, h, w, c) with even h and w, got {}", x.shape());
  const std::int64_t n = x.dim(0), h = x.dim(1) / 2, w = x.dim(2) / 2, c = x.dim(3);
  return scale(reshape(sum_to(reshape(x, {n, h, 2, w, 2, c}), {n, h, 1, w, 1, c}), {n, h, w, c}), 0.25);
}

}  // namespace costate
