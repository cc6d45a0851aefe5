// A range of one axis, and its transpose: zeros around.
#pragma once

#include "core/tensor.h"

namespace costate {

/// x[..., first : first + count, ...] along `axis` (negative from the end), where it lies: a strip of x.
[[nodiscard]] Tensor slice(const Tensor& x, int axis, std::int64_t first, std::int64_t count);
/// x with `before` and `after` zeros added along `axis`.
[[nodiscard]] Tensor pad(const Tensor& x, int axis, std::int64_t before, std::int64_t after);

}  // namespace costate
