// y = ln x
#include "core/kernels/log.h"

#include <cmath>

#include "gpu/elementwise.h"

void costate::cuda::log(const Tensor& x, Tensor& y) {
  map(
      "log", [] __device__(auto v) { return std::log(v); }, y, x);
}
