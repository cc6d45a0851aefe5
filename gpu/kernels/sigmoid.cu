// y = 1 / (1 + e^-x)
#include "core/kernels/sigmoid.h"

#include "gpu/elementwise.h"
#include "gpu/sigmoid.h"

void costate::cuda::sigmoid(const Tensor& x, Tensor& y) {
  map(
      "sigmoid", [] __device__(auto v) { return cuda::sigmoid(v); }, y, x);
}
