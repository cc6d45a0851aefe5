// The third input that a bilinear op may have: a bias, added to the product.
#pragma once

#include "core/tensor.h"

namespace costate {

/// A bias (c), or a row a sample (n, c), in the rank of what it is added to: (1, ..., 1, c) or (n, 1, ..., 1, c).
[[nodiscard]] Shape bias_shape(const Shape& bias, int rank);

/// Throws, naming `op`, unless the bias is undefined or has the kind of x and fits the product, whose rows are samples.
void require_bias(const char* op, const Tensor& bias, const Tensor& x, const Shape& product);

}  // namespace costate
