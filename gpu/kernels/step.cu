// y = 1 where x > 0, else 0: the slope of relu
#include "core/kernels/step.h"

#include "gpu/elementwise.h"

void costate::cuda::step(const Tensor& x, Tensor& y) {
  map(
      "step", [] __device__(auto v) { return v > 0 ? decltype(v){1} : decltype(v){0}; }, y, x);
}
