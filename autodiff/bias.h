// The further inputs that a bilinear op may have: a bias and an addend, added to the product.
#pragma once

#include "core/tensor.h"

namespace costate {

/// A bias (c), or a row a sample (n, c), in the rank of what it is added to: (1, ..., 1, c) or (n, 1, ..., 1, c).
[[nodiscard]] Shape bias_shape(const Shape& bias, int rank);

/// What is added to a product, whose rows are samples; either may be undefined.
struct AddedTerms {
  Tensor bias;    ///< (c), or a row a sample (n, c)
  Tensor addend;  ///< of the product's shape
};

/// A bilinear op's inputs after its factors, in the type it computes in. Throws, naming `op`, unless each has the kind of
/// the first factor and fits the product.
[[nodiscard]] AddedTerms added_of(const char* op, const Tensors& in, const Shape& product);

/// The inputs of a bilinear op: factors, and what is defined of the rest.
[[nodiscard]] Tensors bilinear_inputs(const Tensor& x, const Tensor& w, const AddedTerms& added);

}  // namespace costate
