// How far samples are from data, as distributions: by their marginals, their distances, and their first two moments.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace costate {

/// Both (rows, ...) of one sample shape, seen as vectors of d entries. Numbers are per entry: divided by sqrt(d).
struct Distances {
  /// Root mean square over random directions of the 1-D Wasserstein-2 distance (Bonneel et al. 2015).
  double sliced_wasserstein = 0;
  /// 2 E|x - y| - E|x - x'| - E|y - y'| over distinct pairs (Szekely and Rizzo 2013); unbiased, so it may be below 0.
  double energy = 0;
  double mean = 0;        ///< |mean of x - mean of y|
  double covariance = 0;  ///< |cov x - cov y| / |cov y|, Frobenius norms
};
Distances distances_between(const Tensor& x, const Tensor& y, int directions, std::uint64_t seed);

}  // namespace costate
