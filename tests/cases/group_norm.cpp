// Cases of group norm (with and without SiLU) and layer norm.
#include "autodiff/ops/group_norm.h"

#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/log.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sigmoid.h"
#include "autodiff/ops/sum.h"
#include "tests/cases/read_twice.h"

namespace costate {
namespace {

constexpr double eps = 1e-5;

/// Mean of squares minus the squared mean, and 1 / sqrt by logarithms: the same numbers on another way than the op's own.
Tensor normalised(const Tensor& x, const Tensor& gamma, const Tensor& beta, std::int64_t groups, bool with_silu) {
  const Shape grouped{x.dim(0), x.dim(1) * x.dim(2), groups, x.dim(3) / groups}, one{x.dim(0), 1, groups, 1},
      channels{1, 1, 1, x.dim(3)};
  const double weight = 1.0 / static_cast<double>(grouped[1] * grouped[3]);
  const Tensor u = reshape(x, grouped), mean_u = scale(sum_to(u, one), weight);
  const Tensor variance = sub(scale(sum_to(square(u), one), weight), square(mean_u));
  const Tensor normal = mul(sub(u, mean_u), exp(scale(log(add_scalar(variance, eps)), -0.5)));
  const Tensor y = add(mul(reshape(normal, x.shape()), reshape(gamma, channels)), reshape(beta, channels));
  return with_silu ? mul(y, sigmoid(y)) : y;
}

Case norm(const std::string& variant, const Shape& x, std::int64_t groups, bool with_silu) {
  return {.op = "group_norm",
          .variant = variant,
          .inputs = {batched(x, -1, 2), {{x[3]}, 0.5, 1.5}, {{x[3]}}},
          .run = [=](const Tensors& in) { return group_norm(in[0], in[1], in[2], groups, eps, with_silu); },
          .spec = [=](const Tensors& in) { return normalised(in[0], in[1], in[2], groups, with_silu); },
          .flops = (with_silu ? 11.0 : 7.0) * static_cast<double>(x.size()),
          .reduction = std::max(x[1] * x[2] * x[3] / groups, x.size() / x[3]),
          .bench = variant.starts_with("bench")};
}

Case layer(const std::string& variant, const Shape& x) {
  const std::int64_t c = x[-1];
  return {.op = "layer_norm",
          .variant = variant,
          .inputs = {batched(x, -1, 2), {{c}, 0.5, 1.5}, {{c}}},
          .run = [](const Tensors& in) { return layer_norm(in[0], in[1], in[2], eps); },
          .spec =
              [c](const Tensors& in) {
                return reshape(normalised(reshape(in[0], {in[0].size() / c, 1, 1, c}), in[1], in[2], 1, false),
                               in[0].shape());
              },
          .flops = 7.0 * static_cast<double>(x.size()),
          .reduction = std::max(c, x.size() / c),
          .bench = variant == "bench"};
}

}  // namespace

CaseFile group_norm_case() {
  CaseFile file{.name = "group_norm"};
  file.cases = {norm("one", {2, 3, 4, 5}, 1, false),
                norm("three", {2, 3, 5, 6}, 3, false),
                norm("each", {2, 4, 3, 5}, 5, false),
                norm("silu", {2, 3, 5, 6}, 2, true),
                norm("silu_one", {3, 3, 3, 4}, 1, true),
                norm("wide", {1, 2, 2, 34}, 2, true),
                norm("sets", {2, 3, 3, 64}, 8, true),  // groups shared among blocks (gpu/kernels/group_norm.cu)
                norm("bench", {2, 32, 32, 128}, 32, false),
                norm("bench_silu", {2, 32, 32, 128}, 32, true),
                layer("rows", {5, 7}),
                layer("tokens", {2, 3, 9}),
                layer("bench", {2, 1024, 128})};
  for (const Case& one :
       {norm("three", {2, 3, 5, 6}, 3, false), norm("silu", {2, 3, 5, 6}, 2, true),
        norm("sets", {2, 3, 3, 64}, 8, true), norm("row", {5, 1, 1, 7}, 1, true), layer("rows", {5, 7})})
    file.cases.push_back(read_twice(one));
  const auto call = [](const Shape& x, std::int64_t c, std::int64_t groups) {
    return [=] { return group_norm(Tensor::zeros(x), Tensor::zeros({c}), Tensor::zeros({c}), groups, eps); };
  };
  file.wrong = {
      {"group_norm", "groups that do not divide", call({1, 2, 2, 6}, 6, 4)},
      {"group_norm", "no groups", call({1, 2, 2, 6}, 6, 0)},
      {"group_norm", "scales of another width", call({1, 2, 2, 6}, 3, 2)},
      {"group_norm", "rank 3", call({2, 2, 6}, 6, 2)},
      {"group_norm", "dtypes",
       [] {
         return group_norm(Tensor::zeros({1, 2, 2, 6}), Tensor::zeros({6}, DType::f64), Tensor::zeros({6}), 2, eps);
       }},
      {"group_norm", "integers",
       [] {
         const Tensor six = Tensor::zeros({6}, DType::i32);
         return group_norm(Tensor::zeros({1, 2, 2, 6}, DType::i32), six, six, 2, eps);
       }},
      {"layer_norm", "a scalar",
       [] { return layer_norm(Tensor::zeros({}), Tensor::zeros({1}), Tensor::zeros({1}), eps); }},
      {"layer_norm", "empty rows",
       [] {
         return layer_norm(Tensor::zeros({3, 0}), Tensor::zeros({0}), Tensor::zeros({0}), eps);
       }},
      {"layer_norm", "scales of another width",
       [] {
         return layer_norm(Tensor::zeros({3, 4}), Tensor::zeros({5}), Tensor::zeros({5}), eps);
       }},
  };
  return file;
}

}  // namespace costate
