// GELU: y = x Phi(x), exactly (erf) or by the tanh approximation.
#pragma once

#include "core/tensor.h"

namespace costate {

/// x (1 + erf(x / sqrt 2)) / 2
[[nodiscard]] Tensor gelu(const Tensor& x);
/// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
[[nodiscard]] Tensor gelu_tanh(const Tensor& x);

}  // namespace costate
