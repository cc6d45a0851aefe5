// Every tolerance of the tests: c * eps(dtype) * sqrt(reduction length), with c stated here and nowhere else.
#pragma once

#include <cmath>

#include "core/dtype.h"

namespace costate::tolerance {

inline double root_length(std::int64_t reduction) {
  return std::sqrt(static_cast<double>(reduction < 1 ? 1 : reduction));
}

/// Two ways of computing the same values, or the duality of two derivatives: both round.
inline double rounding(DType dtype, std::int64_t reduction) { return 32 * epsilon_of(dtype) * root_length(reduction); }

/// A coarse dtype against f64 of the same (coarse) inputs, in units of the largest value. What
/// bf16 costs is one rounding an op, whatever the length of the sums, which are in f32 (attention: two).
inline double ladder(DType dtype, std::int64_t reduction) {
  return dtype == DType::bf16 ? 8 * epsilon_of(dtype) : 16 * epsilon_of(dtype) * root_length(reduction);
}

/// A six-point difference quotient at its best step leaves eps^(6/7).
inline double difference(DType through, std::int64_t reduction) {
  return 64 * std::pow(epsilon_of(through), 6.0 / 7) * root_length(reduction);
}

}  // namespace costate::tolerance
