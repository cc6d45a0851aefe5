// Cases of y = cos x.
#include "autodiff/ops/cos.h"

#include <cmath>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile cos_case() {
  return pointwise_cases({.name = "cos", .run = cos, .plain = [](double v) { return std::cos(v); }});
}

}  // namespace costate
