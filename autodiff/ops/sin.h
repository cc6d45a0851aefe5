// y = sin x, elementwise
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor sin(const Tensor& x);

}  // namespace costate
