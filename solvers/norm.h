// The Euclidean norm of states and gradients, for messages, error control and comparisons.
#pragma once

#include <cmath>

#include "core/tensor.h"

namespace costate {

/// Of the first `count` tensors together.
inline double norm(const Tensors& y, std::size_t count) {
  double squares = 0;
  for (std::size_t k = 0; k < count; ++k) {
    for (const double v : y[k].to_vector()) squares += v * v;
  }
  return std::sqrt(squares);
}

inline double norm(const Tensor& y) { return norm(Tensors{y}, 1); }

/// |a - b| / |b| over all tensors together; those that are undefined in either are left out.
inline double relative_distance(const Tensors& a, const Tensors& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (!a[i].defined() || !b[i].defined()) continue;
    const auto u = a[i].to_vector(), v = b[i].to_vector();
    for (std::size_t k = 0; k < v.size(); ++k) difference += (u[k] - v[k]) * (u[k] - v[k]), size += v[k] * v[k];
  }
  return std::sqrt(difference / size);
}

}  // namespace costate
