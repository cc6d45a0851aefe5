// The endpoint approximation of the Fisher information of q_t, which needs no derivative of the network.
#pragma once

#include "solvers/denoiser.h"

namespace costate {

/// F v = v / sigma^2 - alpha^2 / sigma^4 (<y0, v> y0 - <ybar, v> ybar), sample by sample, at the state y = x / alpha of a level:
/// y0 is the end of its trajectory, ybar the x_0 predicted there (Wang et al. 2025, "Diffusion Fisher", (20)).
Tensor endpoint_fisher(const Denoiser& denoiser, const Level& at, const Tensor& y, const Tensor& y0, const Tensors& p,
                       const Tensor& v);

}  // namespace costate
