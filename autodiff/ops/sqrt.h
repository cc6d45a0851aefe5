// y = the square root of x, elementwise
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor sqrt(const Tensor& x);

}  // namespace costate
