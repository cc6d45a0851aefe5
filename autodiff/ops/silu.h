// SiLU (swish): y = x / (1 + e^-x)
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor silu(const Tensor& x);

}  // namespace costate
