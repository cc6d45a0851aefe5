// Cases of y = the square root of x.
#include "autodiff/ops/sqrt.h"

#include <cmath>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile sqrt_case() {
  return pointwise_cases(
      {.name = "sqrt", .run = sqrt, .plain = [](double v) { return std::sqrt(v); }, .low = 1, .high = 3});
}

}  // namespace costate
