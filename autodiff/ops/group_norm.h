// Group and layer normalisation.
#pragma once

#include "core/tensor.h"

namespace costate {

/// x (n, h, w, c): mean 0 and variance 1 over (h, w, c / groups) of each image, then times gamma (c) plus beta (c); with `silu`,
/// SiLU of that.
[[nodiscard]] Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, std::int64_t groups,
                                double eps, bool silu = false);

/// x (..., c): mean 0 and variance 1 along the last axis, then times gamma (c) plus beta (c).
[[nodiscard]] Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps);

}  // namespace costate
