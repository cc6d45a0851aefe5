// y = ln x, elementwise
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor log(const Tensor& x);

}  // namespace costate
