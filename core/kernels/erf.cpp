// y = erf x
#include "core/kernels/erf.h"

#include <cmath>

namespace costate {

void cpu::erf(const Tensor& x, Tensor& y) {
  map("erf", x, y, [](auto v) { return std::erf(v); });
}

}  // namespace costate
