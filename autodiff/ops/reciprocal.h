// y = 1 / x, elementwise
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor reciprocal(const Tensor& x);

}  // namespace costate
