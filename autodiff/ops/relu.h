// y = max(x, 0), elementwise; slope 0 at 0
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor relu(const Tensor& x);

}  // namespace costate
