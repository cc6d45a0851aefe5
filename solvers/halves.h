// Networks that say something about the variance, too: twice the channels of x, the second half of them about that.
#pragma once

#include "solvers/denoiser.h"

namespace costate {

/// A network's output for x in its parts; the second is undefined where there is one only.
struct Halves {
  Tensor prediction, variance = {};
};
Halves halves(const Tensor& out, const Tensor& x);
Tensor joined(const Halves& parts);

/// Of one evaluation: x_0 and eps, and the second half as it is, undefined where there is none.
struct Found {
  Tensor x_0, eps, variance = {};
};
Found find_all(const Denoiser& denoiser, const Tensor& y, const Level& at, const Tensors& p);

}  // namespace costate
