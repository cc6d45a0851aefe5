// Softmax and log-sum-exp along the last axis.
#pragma once

#include "core/tensor.h"

namespace costate {

/// e^x / sum e^x along the last axis
[[nodiscard]] Tensor softmax(const Tensor& x);
/// ln sum e^x along the last axis, which keeps extent 1
[[nodiscard]] Tensor log_sum_exp(const Tensor& x);
/// The largest entry along the last axis, which keeps extent 1; a constant to every derivative.
[[nodiscard]] Tensor max_last(const Tensor& x);

}  // namespace costate
