// The forward process: noising data, and one state in the coordinates of several schedules.
#pragma once

#include "core/tensor.h"
#include "solvers/schedule.h"

namespace costate {

/// x_t = alpha x_0 + sigma eps, eps in the shape and dtype of x_0.
Tensor noised(const Tensor& x_0, const Tensor& eps, const Level& at);

/// The level of equal sigma / alpha with alpha^2 + sigma^2 = 1, and that with alpha = 1. t stays what it is. Pure noise
/// (alpha = 0) has no variance-exploding level: throws.
Level variance_preserving(const Level& at);
Level variance_exploding(const Level& at);
/// The state x at `from` in the coordinates of `to`, a level of equal sigma / alpha: x_VP = x_VE / sqrt(1 + s^2). Throws
/// where sigma / alpha differ.
Tensor change_level(const Tensor& x, const Level& from, const Level& to);

}  // namespace costate
