// y = 1 / x
#include "core/kernels/reciprocal.h"

#include "gpu/elementwise.h"

void costate::cuda::reciprocal(const Tensor& x, Tensor& y) {
  map(
      "reciprocal", [] __device__(auto v) { return 1 / v; }, y, x);
}
