// Cases of y = max(x, 0), away from its kink.
#include "autodiff/ops/relu.h"

#include <algorithm>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile relu_case() {
  return pointwise_cases(
      {.name = "relu", .run = relu, .plain = [](double v) { return std::max(v, 0.0); }, .gap = 0.25});
}

}  // namespace costate
