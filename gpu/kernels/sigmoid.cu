// y = 1 / (1 + e^-x)
#include "core/kernels/sigmoid.h"

#include <cmath>

#include "gpu/elementwise.h"

void costate::cuda::sigmoid(const Tensor& x, Tensor& y) {
  map(
      "sigmoid", [] __device__(auto v) { return 1 / (1 + std::exp(-v)); }, y, x);
}
