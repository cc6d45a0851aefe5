// Scaled dot-product attention.
#pragma once

#include "core/tensor.h"

namespace costate {

/// softmax(q k^T * scale) v for each of `heads` equal slices of the last axis; q (n, t, heads * d), k (n, s, heads * d),
/// v (n, s, heads * e) -> (n, t, heads * e). The t x s matrix is computed again on the way back, not kept.
[[nodiscard]] Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads, double scale);

}  // namespace costate
