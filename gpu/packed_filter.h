// Weights of convolutions with each output channel's terms side by side, for products that want them so.
#pragma once

#include "core/tensor.h"

namespace costate::cuda {

/// t (..., width) as `width` lines, each of all that stood in its column; lines are `line` elements apart, and what is between them is
/// not written.
Tensor turned(const Tensor& t, std::int64_t line);

/// w (kh, kw, in, out) as (out, kh, kw, in), kept with its storage.
Tensor packed_filter(const Tensor& w);
Shape packed_shape(const Shape& w);
/// Back again, for a gradient.
void unpack_filter(const Tensor& packed, Tensor& w);

}  // namespace costate::cuda
