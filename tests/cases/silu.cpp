// Cases of SiLU, against x sigmoid(x).
#include "autodiff/ops/silu.h"

#include <cmath>

#include "autodiff/ops/mul.h"
#include "autodiff/ops/sigmoid.h"
#include "tests/cases/pointwise.h"

namespace costate {

CaseFile silu_case() {
  return pointwise_cases({.name = "silu",
                          .run = silu,
                          .plain = [](double v) { return v / (1 + std::exp(-v)); },
                          .flops = 4,
                          .spec = [](const Tensor& x) { return mul(x, sigmoid(x)); }});
}

}  // namespace costate
