// y = 1 where x > 0, else 0: the slope of relu; no derivative of its own
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor step(const Tensor& x);

}  // namespace costate
