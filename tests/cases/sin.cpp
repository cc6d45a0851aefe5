// Cases of y = sin x.
#include "autodiff/ops/sin.h"

#include <cmath>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile sin_case() {
  return pointwise_cases({.name = "sin", .run = sin, .plain = [](double v) { return std::sin(v); }});
}

}  // namespace costate
