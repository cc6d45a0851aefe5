// One step of Adam, as an op: an update of values can be differentiated like all else.
#pragma once

#include "core/kernels/adam.h"

namespace costate {

/// {x', m', v'} of values x, a gradient g of their shape and kind, and the moments m and v of the steps so far, of that shape, in
/// moment_dtype (core/kernels/adam.h).
[[nodiscard]] Tensors adam(const AdamFactors& by, const Tensor& x, const Tensor& g, const Tensor& m, const Tensor& v);

}  // namespace costate
