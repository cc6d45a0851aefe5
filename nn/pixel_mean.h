// The mean over the pixels of an image: how classifiers make a vector of it.
#pragma once

#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sum.h"

namespace costate {

/// Means over the pixels of images (n, h, w, c): (n, c).
[[nodiscard]] inline Tensor pixel_mean(const Tensor& x) {
  const Tensor total = sum_to(x, {x.dim(0), 1, 1, x.dim(3)});
  return scale(reshape(total, {x.dim(0), x.dim(3)}), 1 / static_cast<double>(x.dim(1) * x.dim(2)));
}

}  // namespace costate
