// Compositions: the two GELUs in use.
#include "autodiff/ops/gelu.h"

#include <cmath>
#include <numbers>

#include "autodiff/ops/add.h"
#include "autodiff/ops/erf.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/tanh.h"

namespace costate {

namespace {

void check(const char* name, const Tensor& x) {
  require(x.defined() && is_floating(x.dtype()), "{}: wants a floating tensor, got {}", name,
          x.defined() ? name_of(x.dtype()) : "none");
}

}  // namespace

Tensor gelu(const Tensor& x) {
  check("gelu", x);
  return mul(scale(x, 0.5), add_scalar(erf(scale(x, 1 / std::numbers::sqrt2)), 1));
}

Tensor gelu_tanh(const Tensor& x) {
  check("gelu_tanh", x);
  const Tensor cubic = mul(x, add_scalar(scale(square(x), 0.044715), 1));
  return mul(scale(x, 0.5), add_scalar(tanh(scale(cubic, std::sqrt(2 / std::numbers::pi))), 1));
}

}  // namespace costate
