// Cases of y = 1 / x.
#include "autodiff/ops/reciprocal.h"

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile reciprocal_case() {
  return pointwise_cases(
      {.name = "reciprocal", .run = reciprocal, .plain = [](double v) { return 1 / v; }, .low = 1.5, .high = 3});
}

}  // namespace costate
