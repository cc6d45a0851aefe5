// Cases of GEGLU, against halves that are sliced off and multiplied.
#include "autodiff/ops/geglu.h"

#include <cmath>
#include <numbers>

#include "autodiff/ops/gelu.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/slice.h"
#include "tests/cases/case.h"

namespace costate {
namespace {

Tensor composed(const Tensor& x) {
  const std::int64_t half = x.dim(-1) / 2;
  return mul(slice(x, -1, 0, half), gelu(slice(x, -1, half, half)));
}

Tensor plainly(const Tensor& x) {
  const auto from = x.to_vector();
  const auto half = static_cast<std::size_t>(x.dim(-1)) / 2;
  std::vector<double> y;
  for (std::size_t row = 0; row < from.size(); row += 2 * half) {
    for (std::size_t i = row; i < row + half; ++i)
      y.push_back(from[i] * from[i + half] * (1 + std::erf(from[i + half] / std::numbers::sqrt2)) / 2);
  }
  return Tensor::from(y, x.shape().with(-1, x.dim(-1) / 2));
}

}  // namespace

CaseFile geglu_case() {
  CaseFile file{.name = "geglu"};
  for (const auto& [variant, shape] : {std::pair<const char*, Shape>{"rows", {3, 14}},
                                       {"words", {3, 2, 32}},
                                       {"one", {2, 2}},
                                       {"bench", {2, 256, 2560}}}) {
    file.cases.push_back({.op = "geglu",
                          .variant = variant,
                          .inputs = {batched(shape, -3, 3)},
                          .run = [](const Tensors& in) { return geglu(in[0]); },
                          .spec = [](const Tensors& in) { return composed(in[0]); },
                          .plain = [](const Tensors& in) { return plainly(in[0]); },
                          .flops = 3 * static_cast<double>(shape.size()),
                          .bench = std::string(variant) == "bench"});
  }
  file.wrong = {{"geglu", "integers",
                 [] {
                   return geglu(Tensor::zeros({2, 4}, DType::i32));
                 }},
                {"geglu", "nothing", [] { return geglu(Tensor()); }},
                {"geglu", "a scalar", [] { return geglu(Tensor::zeros({})); }},
                {"geglu", "an odd number of channels", [] {
                   return geglu(Tensor::zeros({2, 3}));
                 }}};
  return file;
}

}  // namespace costate
