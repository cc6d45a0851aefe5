// Cases of y = erf x.
#include "autodiff/ops/erf.h"

#include <cmath>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile erf_case() {
  return pointwise_cases(
      {.name = "erf", .run = erf, .plain = [](double v) { return std::erf(v); }, .low = -2, .high = 2});
}

}  // namespace costate
