// y = cos x
#include "core/kernels/cos.h"

#include <cmath>

namespace costate {

void cpu::cos(const Tensor& x, Tensor& y) {
  map("cos", x, y, [](auto v) { return std::cos(v); });
}

}  // namespace costate
