// y = cos x
#include "core/kernels/cos.h"

#include <cmath>

#include "gpu/elementwise.h"

void costate::cuda::cos(const Tensor& x, Tensor& y) {
  map(
      "cos", [] __device__(auto v) { return std::cos(v); }, y, x);
}
