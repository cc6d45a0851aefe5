// Cases of y = 1 where x > 0, a constant to derivatives.
#include "autodiff/ops/step.h"

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile step_case() {
  return pointwise_cases({.name = "step",
                          .run = step,
                          .plain = [](double v) { return v > 0 ? 1.0 : 0.0; },
                          .gap = 0.25,
                          .constant = true});
}

}  // namespace costate
