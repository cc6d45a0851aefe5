// Tensors joined along one axis.
#pragma once

#include "core/tensor.h"

namespace costate {

/// All parts agree in every other axis, in dtype and device. Neighbours in one storage, in this order, are joined where they lie: nothing
/// is copied.
[[nodiscard]] Tensor concat(const Tensors& parts, int axis);

}  // namespace costate
