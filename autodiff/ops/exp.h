// y = e^x, elementwise
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor exp(const Tensor& x);

}  // namespace costate
