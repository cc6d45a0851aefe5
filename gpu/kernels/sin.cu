// y = sin x
#include "core/kernels/sin.h"

#include <cmath>

#include "gpu/elementwise.h"

void costate::cuda::sin(const Tensor& x, Tensor& y) {
  map(
      "sin", [] __device__(auto v) { return std::sin(v); }, y, x);
}
