// Cases of softmax, log-sum-exp and the maximum, all along the last axis.
#include "autodiff/ops/softmax.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/log.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reciprocal.h"
#include "autodiff/ops/sum.h"
#include "tests/cases/case.h"

namespace costate {
namespace {

Tensor sum_of_exponentials(const Tensor& x) { return sum_to(exp(x), x.shape().with(-1, 1)); }

Tensor max_plainly(const Tensor& x) {
  const auto values = x.to_vector();
  std::vector<double> y;
  for (auto at = values.begin(); at != values.end(); at += x.dim(-1))
    y.push_back(*std::max_element(at, at + x.dim(-1)));
  return Tensor::from(y, x.shape().with(-1, 1));
}

Case along_last(const char* op, const char* variant, const Shape& shape, Tensor (*run)(const Tensor&), double flops) {
  return {.op = op,
          .variant = variant,
          .inputs = {batched(shape, -4, 4)},
          .run = [run](const Tensors& in) { return run(in[0]); },
          .flops = flops * static_cast<double>(shape.size()),
          .reduction = shape[-1],
          .bench = std::string(variant) == "bench"};
}

}  // namespace

CaseFile softmax_case() {
  CaseFile file{.name = "softmax"};
  for (const auto& [variant, shape] : {std::pair<const char*, Shape>{"rows", {3, 7}},
                                       {"tokens", {2, 3, 4, 33}},
                                       {"one", {3, 1}},
                                       {"bench", {2, 4, 256, 256}}}) {
    file.cases.push_back(along_last("softmax", variant, shape, softmax, 5));
    // No shift by the maximum here: another computation of the same numbers.
    file.cases.back().spec = [](const Tensors& in) { return mul(exp(in[0]), reciprocal(sum_of_exponentials(in[0]))); };
    file.cases.back().constant = shape[-1] == 1;
    file.cases.push_back(along_last("log_sum_exp", variant, shape, log_sum_exp, 4));
    file.cases.back().spec = [](const Tensors& in) { return log(sum_of_exponentials(in[0])); };
    file.cases.push_back(along_last("max_last", variant, shape, max_last, 1));
    file.cases.back().plain = [](const Tensors& in) { return max_plainly(in[0]); };
    file.cases.back().constant = true;
  }
  for (const auto& [name, run] : {std::pair<const char*, Tensor (*)(const Tensor&)>{"softmax", softmax},
                                  {"log_sum_exp", log_sum_exp},
                                  {"max_last", max_last}}) {
    file.wrong.push_back({name, "integers", [run = run] { return run(Tensor::zeros({2, 3}, DType::i32)); }});
    file.wrong.push_back({name, "a scalar", [run = run] { return run(Tensor::zeros({})); }});
  }
  file.wrong.push_back({"log_sum_exp", "empty rows", [] { return log_sum_exp(Tensor::zeros({2, 0})); }});
  file.wrong.push_back({"max_last", "empty rows", [] { return max_last(Tensor::zeros({2, 0})); }});
  return file;
}

}  // namespace costate
