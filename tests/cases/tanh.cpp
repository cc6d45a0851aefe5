// Cases of y = tanh x.
#include "autodiff/ops/tanh.h"

#include <cmath>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile tanh_case() {
  return pointwise_cases({.name = "tanh", .run = tanh, .plain = [](double v) { return std::tanh(v); }});
}

}  // namespace costate
