// The product of rows by a weight matrix.
#pragma once

#include "core/tensor.h"

namespace costate {

/// x w + bias + addend for x (..., k) and a weight matrix w (k, n), given as (n, k) if `transposed`; bias (n), addend (..., n),
/// either may be undefined.
[[nodiscard]] Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias = {}, const Tensor& addend = {},
                            bool transposed = false);

}  // namespace costate
