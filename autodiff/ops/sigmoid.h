// y = 1 / (1 + e^-x), elementwise
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor sigmoid(const Tensor& x);

}  // namespace costate
