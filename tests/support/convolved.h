// Convolutions of 3x3 taps and stride 1, for tests of Winograd's ways of doing them.
#pragma once

#include "core/kernels/conv2d.h"

namespace costate {

/// One more row and column of zeros below and on the right; as many as it says above and on the left, or fewer than none.
struct Convolved {
  std::int64_t n, h, w, in, out, top, left;
  [[nodiscard]] ConvGeometry geometry() const { return {.top = top, .bottom = 1, .left = left, .right = 1}; }
  [[nodiscard]] Shape x() const { return {n, h, w, in}; }
  [[nodiscard]] Shape weight() const { return {3, 3, in, out}; }
  [[nodiscard]] Shape y() const { return {n, h + top - 1, w + left - 1, out}; }
};

inline Tensor in_f64(const Tensor& t) { return Tensor::from(t.to_vector(), t.shape(), DType::f64); }

}  // namespace costate
