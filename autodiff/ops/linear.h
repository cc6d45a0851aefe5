// The product of rows by a weight matrix.
#pragma once

#include "core/tensor.h"

namespace costate {

/// x w + bias + addend for x (..., k) and a weight matrix w (k, n), given as (n, k) if `transposed`; bias (n), addend (..., n),
/// either may be undefined.
[[nodiscard]] Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias = {}, const Tensor& addend = {},
                            bool transposed = false);
/// (..., k) as one matrix (1, rows, k).
[[nodiscard]] Shape as_matrix(const Shape& x);

/// The cotangent of w (k, n) for g (..., n) of x w: x^T g over all rows of x (..., k). With x and g exchanged, of w given as (n, k).
[[nodiscard]] Tensor weight_cotangent(const Tensor& x, const Tensor& g);

/// x w + bias, as a term of a sum that another op makes (conv2d). Recordings are told of it at once, as of `linear`, so that the way back
/// is the same; its value is not made.
struct LinearTerm {
  Tensor x, w, bias;  ///< bias: undefined for none
  Tensor value;       ///< a ghost
};
[[nodiscard]] LinearTerm linear_term(const Tensor& x, const Tensor& w, const Tensor& bias = {});

}  // namespace costate
