// y = erf x
#include "core/kernels/erf.h"

#include <cmath>

#include "gpu/elementwise.h"

void costate::cuda::erf(const Tensor& x, Tensor& y) {
  map(
      "erf", [] __device__(auto v) { return std::erf(v); }, y, x);
}
