// y = max(x, 0); NaN stays NaN
#include "core/kernels/relu.h"

#include <cmath>

namespace costate {

void cpu::relu(const Tensor& x, Tensor& y) {
  map("relu", x, y, [](auto v) { return v < 0 ? decltype(v){0} : v; });
}

}  // namespace costate
