// Cases of y = 1 / (1 + e^-x).
#include "autodiff/ops/sigmoid.h"

#include <cmath>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile sigmoid_case() {
  return pointwise_cases(
      {.name = "sigmoid", .run = sigmoid, .plain = [](double v) { return 1 / (1 + std::exp(-v)); }, .flops = 3});
}

}  // namespace costate
