// The same values in another dtype.
#pragma once

#include "core/tensor.h"

namespace costate {

/// Rounds to nearest. The derivative is the cast back.
[[nodiscard]] Tensor cast(const Tensor& x, DType dtype);

}  // namespace costate
