// The products of rows by several weight matrices of one shape.
#pragma once

#include "core/tensor.h"

namespace costate {

/// x w_i + bias_i + more_i for each i: x (..., k), each weight (k, n), each bias (n); of biases and of `more` there are as many as of
/// weights, or none. Weights that follow each other in one storage (Tensor::spanning) are one product.
[[nodiscard]] Tensors linears(const Tensor& x, const Tensors& weights, const Tensors& biases = {},
                              const Tensors& more = {});

}  // namespace costate
