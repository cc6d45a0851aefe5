// Corrections of x_0 for `Denoiser::correct`: clipping and dynamic thresholding.
#pragma once

#include "solvers/denoiser.h"

namespace costate {

using Correction = std::function<Tensor(const Tensor& x_0, const Level& at)>;

/// Clips every entry to [-range, range]. The derivative is 1 inside and 0 outside.
Correction clipping(double range = 1);
/// Dynamic thresholding (Saharia et al. 2022, "Imagen", section 2.3): with s = max(the `ratio` quantile of |x_0| of a
/// sample, 1), at most `most`, the sample is clipped to [-s, s] and divided by s. Differentiable, s too.
Correction dynamic_thresholding(double ratio = 0.995, double most = 1e300);
/// By name, with options in one word (core/spec.h): clip:range=1, threshold:ratio=0.995:most=1e300, or none, which is null.
Correction correction_from(const std::string& spec);

}  // namespace costate
