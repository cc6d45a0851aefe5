// y = e^x
#include "core/kernels/exp.h"

#include <cmath>

namespace costate {

void cpu::exp(const Tensor& x, Tensor& y) {
  map("exp", x, y, [](auto v) { return std::exp(v); });
}

}  // namespace costate
