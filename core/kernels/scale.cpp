// y = c x
#include "core/kernels/scale.h"

namespace costate {

void cpu::scale(double c, const Tensor& x, Tensor& y) {
  map("scale", x, y, [c](auto v) { return static_cast<decltype(v)>(c) * v; });
}

}  // namespace costate
