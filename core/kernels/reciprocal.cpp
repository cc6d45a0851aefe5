// y = 1 / x
#include "core/kernels/reciprocal.h"

#include <cmath>

namespace costate {

void cpu::reciprocal(const Tensor& x, Tensor& y) {
  map("reciprocal", x, y, [](auto v) { return 1 / v; });
}

}  // namespace costate
