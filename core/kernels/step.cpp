// y = 1 where x > 0, else 0: the slope of relu
#include "core/kernels/step.h"

#include <cmath>

namespace costate {

void cpu::step(const Tensor& x, Tensor& y) {
  map("step", x, y, [](auto v) { return v > 0 ? decltype(v){1} : decltype(v){0}; });
}

}  // namespace costate
