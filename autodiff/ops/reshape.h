// The same elements under another shape; shares storage.
#pragma once

#include "core/tensor.h"

namespace costate {

[[nodiscard]] Tensor reshape(const Tensor& x, const Shape& shape);

}  // namespace costate
