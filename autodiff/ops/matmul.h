// Matrix products.
#pragma once

#include "core/tensor.h"

namespace costate {

/// op(a) op(b) for each i of the first axis: a (batch, m, k), b (batch, k, n), both (batch, m, n). A transposed factor is given
/// as (batch, k, m) or (batch, n, k). b's batch may be 1; it is then shared, and treated as a weight: packed once.
[[nodiscard]] Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);

}  // namespace costate
