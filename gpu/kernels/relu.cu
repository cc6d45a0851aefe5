// y = max(x, 0); NaN stays NaN
#include "core/kernels/relu.h"

#include "gpu/elementwise.h"

void costate::cuda::relu(const Tensor& x, Tensor& y) {
  map(
      "relu", [] __device__(auto v) { return v < 0 ? decltype(v){0} : v; }, y, x);
}
