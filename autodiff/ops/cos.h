// y = cos x, elementwise
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor cos(const Tensor& x);

}  // namespace costate
