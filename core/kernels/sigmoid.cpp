// y = 1 / (1 + e^-x)
#include "core/kernels/sigmoid.h"

#include <cmath>

namespace costate {

void cpu::sigmoid(const Tensor& x, Tensor& y) {
  map("sigmoid", x, y, [](auto v) { return 1 / (1 + std::exp(-v)); });
}

}  // namespace costate
