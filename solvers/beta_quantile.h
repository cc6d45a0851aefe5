// Quantiles of the symmetric beta distribution.
#pragma once

namespace costate {

/// x with I_x(a, a) = p: the quantile p, in [0, 1], of a beta distribution of equal shape parameters a > 0.
double beta_quantile(double p, double a);

}  // namespace costate
