// Sums and weighted sums of two tensors of equal rank; an extent of 1 is repeated along the other's.
#pragma once

#include "core/tensor.h"

namespace costate {

/// alpha a + beta b
[[nodiscard]] Tensor lincomb(double alpha, const Tensor& a, double beta, const Tensor& b);
[[nodiscard]] Tensor add(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor sub(const Tensor& a, const Tensor& b);
/// x + c
[[nodiscard]] Tensor add_scalar(const Tensor& x, double c);

}  // namespace costate
