// Tensors joined along one axis.
#pragma once

#include "core/tensor.h"

namespace costate {

/// All parts agree in every other axis, in dtype and device. Neighbours in one storage, in this order, are joined where they lie: nothing
/// is copied.
[[nodiscard]] Tensor concat(const Tensors& parts, int axis);

/// (count, ...): tensors of one shape along an axis of their own, before the others; undefined if there are none.
[[nodiscard]] Tensor stacked(const Tensors& parts);

}  // namespace costate
