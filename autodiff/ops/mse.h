// Mean squared error.
#pragma once

#include "core/tensor.h"

namespace costate {

/// mean((a - b)^2) over all elements: shape ()
[[nodiscard]] Tensor mse(const Tensor& a, const Tensor& b);

}  // namespace costate
