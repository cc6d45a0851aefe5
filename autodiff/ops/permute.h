// Axes in another order.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace costate {

/// y's axis i is x's axis order[i].
[[nodiscard]] Tensor permute(const Tensor& x, const std::vector<int>& order);

}  // namespace costate
