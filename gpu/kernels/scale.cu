// y = c x
#include "core/kernels/scale.h"

#include "gpu/elementwise.h"

void costate::cuda::scale(double c, const Tensor& x, Tensor& y) {
  map(
      "scale", [c] __device__(auto v) { return static_cast<decltype(v)>(c) * v; }, y, x);
}
