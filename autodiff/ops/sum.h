// Sums over axes, and their transpose.
#pragma once

#include "core/tensor.h"

namespace costate {

/// Sums over the axes where `shape` has extent 1 and x has not; equal ranks. x itself if there are none.
[[nodiscard]] Tensor sum_to(const Tensor& x, const Shape& shape);
/// Repeats x along the axes where it has extent 1 and `shape` has not; equal ranks. x itself if there are none.
[[nodiscard]] Tensor broadcast_to(const Tensor& x, const Shape& shape);
/// Sum and mean of all elements: shape ().
[[nodiscard]] Tensor sum(const Tensor& x);
[[nodiscard]] Tensor mean(const Tensor& x);
/// Sum of a b over all elements: shape ().
[[nodiscard]] Tensor inner(const Tensor& a, const Tensor& b);

}  // namespace costate
