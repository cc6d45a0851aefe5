// y = the square root of x
#include "core/kernels/sqrt.h"

#include <cmath>

#include "gpu/elementwise.h"

void costate::cuda::sqrt(const Tensor& x, Tensor& y) {
  map(
      "sqrt", [] __device__(auto v) { return std::sqrt(v); }, y, x);
}
