// y = sin x
#include "core/kernels/sin.h"

#include <cmath>

namespace costate {

void cpu::sin(const Tensor& x, Tensor& y) {
  map("sin", x, y, [](auto v) { return std::sin(v); });
}

}  // namespace costate
