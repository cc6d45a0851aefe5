// y = c x for a number c
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor scale(const Tensor& x, double c);

}  // namespace costate
