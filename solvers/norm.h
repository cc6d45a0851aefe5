// The Euclidean norm of a state, for messages and error control.
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

}  // namespace costate
