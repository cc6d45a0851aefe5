// y = ln x
#include "core/kernels/log.h"

#include <cmath>

namespace costate {

void cpu::log(const Tensor& x, Tensor& y) {
  map("log", x, y, [](auto v) { return std::log(v); });
}

}  // namespace costate
