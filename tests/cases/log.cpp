// Cases of y = ln x.
#include "autodiff/ops/log.h"

#include <cmath>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile log_case() {
  return pointwise_cases(
      {.name = "log", .run = log, .plain = [](double v) { return std::log(v); }, .low = 1, .high = 3});
}

}  // namespace costate
