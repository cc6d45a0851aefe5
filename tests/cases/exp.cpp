// Cases of y = e^x.
#include "autodiff/ops/exp.h"

#include <cmath>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile exp_case() {
  return pointwise_cases({.name = "exp", .run = exp, .plain = [](double v) { return std::exp(v); }});
}

}  // namespace costate
