// Cases of a step of Adam: values, gradient and both moments, as they are in the third step.
#include "autodiff/ops/adam.h"

#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reciprocal.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sqrt.h"
#include "tests/cases/case.h"

namespace costate {
namespace {

constexpr AdamFactors by{.beta_1 = 0.8, .beta_2 = 0.9, .rate = 0.125, .unbias = 1.25, .tiny = 1e-3};

/// The three results, one behind the other along the last axis.
Tensor joined(const Tensors& in, const Tensors& out) {
  return concat({out[0], cast(out[1], in[0].dtype()), cast(out[2], in[0].dtype())}, -1);
}

Tensors stepped(const Tensors& in) {
  const DType wide = moment_dtype(in[0].dtype());
  return adam(by, in[0], in[1], cast(in[2], wide), cast(in[3], wide));
}

Tensors composed(const Tensors& in) {
  const Tensor m = lincomb(by.beta_1, in[2], 1 - by.beta_1, in[1]);
  const Tensor v = lincomb(by.beta_2, in[3], 1 - by.beta_2, square(in[1]));
  const Tensor step = mul(m, reciprocal(add_scalar(sqrt(scale(v, by.unbias)), by.tiny)));
  return {lincomb(1, in[0], -by.rate, step), m, v};
}

Tensor plainly(const Tensors& in) {
  std::vector<double> x = in[0].to_vector(), m = in[2].to_vector(), v = in[3].to_vector();
  const std::vector<double> g = in[1].to_vector();
  for (std::size_t i = 0; i < x.size(); ++i) {
    m[i] = by.beta_1 * m[i] + (1 - by.beta_1) * g[i];
    v[i] = by.beta_2 * v[i] + (1 - by.beta_2) * g[i] * g[i];
    x[i] -= by.rate * m[i] / (std::sqrt(by.unbias * v[i]) + by.tiny);
  }
  const Shape& shape = in[0].shape();
  return joined(in, {Tensor::from(x, shape), Tensor::from(m, shape), Tensor::from(v, shape)});
}

}  // namespace

CaseFile adam_case() {
  CaseFile file{.name = "adam"};
  for (const auto& [variant, shape] :
       {std::pair<const char*, Shape>{"rows", {3, 13}}, {"words", {2, 3, 16}}, {"one", {1, 1}}, {"empty", {2, 0, 3}}}) {
    file.cases.push_back({.op = "adam",
                          .variant = variant,
                          .inputs = {batched(shape), batched(shape), batched(shape), batched(shape, 0.5, 1.5)},
                          .run = [](const Tensors& in) { return joined(in, stepped(in)); },
                          .spec = [](const Tensors& in) { return joined(in, composed(in)); },
                          .plain = plainly,
                          .flops = 13 * static_cast<double>(shape.size())});
  }
  const Shape weights{3, 3, 256, 256};
  file.cases.push_back({.op = "adam",
                        .variant = "bench",
                        .inputs = {batched(weights), batched(weights), batched(weights), batched(weights, 0.5, 1.5)},
                        .run = [](const Tensors& in) { return stepped(in)[0]; },
                        .spec = [](const Tensors& in) { return composed(in)[0]; },
                        .flops = 13 * static_cast<double>(weights.size()),
                        .bench = true});
  const auto wrong = [&](const char* what, const Tensor& x, const Tensor& g, const Tensor& m, const Tensor& v) {
    file.wrong.push_back({"adam", what, [=] { return adam({}, x, g, m, v)[0]; }});
  };
  const Tensor two = Tensor::zeros({2}), three = Tensor::zeros({3}), none;
  const Tensor fine = Tensor::zeros({2}, DType::f64), coarse = Tensor::zeros({2}, DType::bf16),
               whole = Tensor::zeros({2}, DType::i32);
  wrong("nothing", none, two, two, two);
  wrong("no gradient", two, none, two, two);
  wrong("no moment", two, two, two, none);
  wrong("integers", whole, whole, whole, whole);
  wrong("a gradient of another shape", two, three, two, two);
  wrong("a gradient of another dtype", two, fine, two, two);
  wrong("moments of another shape", two, two, three, three);
  wrong("moments of another dtype", two, two, fine, fine);
  wrong("moments of bf16", coarse, coarse, coarse, coarse);
  return file;
}

}  // namespace costate
