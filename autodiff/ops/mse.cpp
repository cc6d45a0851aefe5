// Composition: mean squared error.
#include "autodiff/ops/mse.h"

#include "autodiff/ops/add.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/sum.h"

namespace costate {

Tensor mse(const Tensor& a, const Tensor& b) {
  require_same("mse", a, b);
  return mean(square(sub(a, b)));
}

}  // namespace costate
