// y = tanh x
#include "core/kernels/tanh.h"

#include <cmath>

namespace costate {

void cpu::tanh(const Tensor& x, Tensor& y) {
  map("tanh", x, y, [](auto v) { return std::tanh(v); });
}

}  // namespace costate
