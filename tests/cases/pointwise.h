// The case file of an elementwise op of one operand: only the functions and the range differ.
#pragma once

#include "tests/cases/case.h"

namespace costate {

struct PointwiseOp {
  const char* name;
  Tensor (*run)(const Tensor&);
  double (*plain)(double);
  double low = -3, high = 3, gap = 0;
  double flops = 1;       ///< an element
  bool constant = false;  ///< see Case
  Tensor (*spec)(const Tensor&) = nullptr;
};

inline Tensor map_plainly(const Tensor& x, double (*f)(double)) {
  auto values = x.to_vector();
  for (auto& v : values) v = f(v);
  return Tensor::from(values, x.shape());
}

inline CaseFile pointwise_cases(const PointwiseOp& op) {
  CaseFile file{.name = op.name};
  const auto run = op.run;
  const auto plain = op.plain;
  const auto spec = op.spec;
  const std::pair<const char*, Shape> sizes[] = {{"vector", {13}}, {"image", {3, 2, 5, 7}}, {"bench", {2, 32, 32, 64}}};
  for (const auto& [variant, shape] : sizes) {
    Case c{.op = op.name, .variant = variant, .inputs = {batched(shape, op.low, op.high, op.gap)}};
    c.run = [run](const Tensors& in) { return run(in[0]); };
    c.plain = [plain](const Tensors& in) { return map_plainly(in[0], plain); };
    if (spec != nullptr) c.spec = [spec](const Tensors& in) { return spec(in[0]); };
    c.flops = op.flops * static_cast<double>(shape.size());
    c.constant = op.constant;
    c.bench = c.variant == "bench";
    file.cases.push_back(c);
  }
  file.wrong = {{op.name, "integers", [run] { return run(Tensor::zeros({3}, DType::i32)); }},
                {op.name, "nothing", [run] { return run(Tensor()); }}};
  return file;
}

}  // namespace costate
