// Cases of both GELUs.
#include "autodiff/ops/gelu.h"

#include <cmath>
#include <numbers>

#include "tests/cases/pointwise.h"

namespace costate {

CaseFile gelu_case() {
  CaseFile file = pointwise_cases({.name = "gelu",
                                   .run = gelu,
                                   .plain = [](double v) { return v * (1 + std::erf(v / std::numbers::sqrt2)) / 2; },
                                   .low = -2,
                                   .high = 2,
                                   .flops = 5});
  const CaseFile approximate = pointwise_cases(
      {.name = "gelu_tanh",
       .run = gelu_tanh,
       .plain =
           [](double v) {
             return v * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v))) / 2;
           },
       .low = -2,
       .high = 2,
       .flops = 9});
  file.cases.insert(file.cases.end(), approximate.cases.begin(), approximate.cases.end());
  file.wrong.insert(file.wrong.end(), approximate.wrong.begin(), approximate.wrong.end());
  return file;
}

}  // namespace costate
