// A tensor cut along one axis.
#pragma once

#include "core/tensor.h"

namespace costate {

/// Slices of x along `axis` (negative from the end) that follow one another, of these extents, which add up to its. Unlike as many calls of
/// slice, their cotangents are joined, which takes no copy where they lie as the slices do.
[[nodiscard]] Tensors split(const Tensor& x, int axis, const std::vector<std::int64_t>& counts);

}  // namespace costate
