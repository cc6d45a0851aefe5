// y = the square root of x
#include "core/kernels/sqrt.h"

#include <cmath>

namespace costate {

void cpu::sqrt(const Tensor& x, Tensor& y) {
  map("sqrt", x, y, [](auto v) { return std::sqrt(v); });
}

}  // namespace costate
