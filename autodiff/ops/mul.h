// Elementwise product of two tensors of equal rank; an extent of 1 is repeated along the other's.
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor mul(const Tensor& a, const Tensor& b);
[[nodiscard]] inline Tensor square(const Tensor& x) { return mul(x, x); }

}  // namespace costate
