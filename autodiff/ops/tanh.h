// y = tanh x, elementwise
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor tanh(const Tensor& x);

}  // namespace costate
