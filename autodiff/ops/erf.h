// y = erf x, elementwise
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor erf(const Tensor& x);

}  // namespace costate
