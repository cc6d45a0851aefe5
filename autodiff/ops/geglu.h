// GEGLU: one half of the channels times the exact GELU of the other (Shazeer 2020, arXiv:2002.05202).
#pragma once

#include "core/tensor.h"

namespace costate {

/// x (..., 2 c) = [a | b] -> a gelu(b), (..., c)
[[nodiscard]] Tensor geglu(const Tensor& x);

}  // namespace costate
