// Cases of attention: one head and several, self and cross.
#include "autodiff/ops/attention.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/concat.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reciprocal.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/split.h"
#include "autodiff/ops/sum.h"
#include "tests/cases/case.h"

namespace costate {
namespace {

/// Head by head on slices of the last axis, softmax spelt out.
Tensor head_by_head(const Tensors& in, std::int64_t heads, double factor) {
  const std::int64_t d = in[0].dim(2) / heads, e = in[2].dim(2) / heads;
  Tensors parts;
  for (std::int64_t h = 0; h < heads; ++h) {
    const Tensor q = slice(in[0], 2, h * d, d), k = slice(in[1], 2, h * d, d), v = slice(in[2], 2, h * e, e);
    const Tensor weights = exp(scale(matmul(q, k, false, true), factor));
    parts.push_back(matmul(mul(weights, reciprocal(sum_to(weights, weights.shape().with(2, 1)))), v));
  }
  return concat(parts, 2);
}

struct Sizes {
  std::int64_t n, t, s, d, e, heads;  // d and e of one head
};

Case heads_case(const std::string& variant, Sizes z) {
  const double factor = 1 / std::sqrt(static_cast<double>(z.d));
  return {.op = "attention",
          .variant = variant,
          .inputs = {batched({z.n, z.t, z.heads * z.d}), batched({z.n, z.s, z.heads * z.d}),
                     batched({z.n, z.s, z.heads * z.e})},
          .run = [=](const Tensors& in) { return attention(in[0], in[1], in[2], z.heads, factor); },
          .spec = [=](const Tensors& in) { return head_by_head(in, z.heads, factor); },
          .flops = static_cast<double>(z.n * z.heads * z.t * z.s * (2 * z.d + 2 * z.e + 5)),
          .reduction = std::max({z.d, z.e, z.t, z.s}),
          .bench = variant.starts_with("bench")};
}

/// q, k and v are parts of one tensor: tokens (q, k, v), or each of their heads.
Case parts_case(const std::string& variant, const Sizes& z, bool of_heads) {
  Case c = heads_case(variant, z);
  const auto parts = [=](const Tensors& in) {
    const std::int64_t n = in[0].dim(0), qk = of_heads ? z.d : z.heads * z.d, v = of_heads ? z.e : z.heads * z.e;
    if (!of_heads) return split(in[0], 2, {qk, qk, v});
    Tensors all = split(reshape(in[0], {n, z.t, z.heads, qk + qk + v}), 3, {qk, qk, v});
    for (Tensor& t : all) t = reshape(t, {n, z.t, z.heads * t.dim(3)});
    return all;
  };
  c.inputs = {batched({z.n, z.t, z.heads * (2 * z.d + z.e)})};
  c.run = [=, run = c.run](const Tensors& in) { return run(parts(in)); };
  c.spec = [=, spec = c.spec](const Tensors& in) { return spec(parts(in)); };
  return c;
}

}  // namespace

CaseFile attention_case() {
  CaseFile file{.name = "attention"};
  file.cases = {heads_case("one", {2, 5, 5, 4, 4, 1}),
                heads_case("two", {2, 5, 5, 3, 3, 2}),
                heads_case("cross", {2, 4, 7, 3, 2, 3}),
                heads_case("single", {1, 3, 2, 2, 1, 1}),
                heads_case("bands", {1, 403, 390, 2, 3, 1}),  // scores of several bands (kernels/attention.cpp)
                heads_case("wide", {2, 70, 75, 40, 40, 2}),   // tiles of keys in each width of gpu/attention
                heads_case("wide 52", {1, 70, 77, 52, 52, 1}),
                heads_case("wide 80", {1, 66, 77, 80, 80, 1}),
                heads_case("wide 104", {1, 66, 77, 104, 104, 1}),
                parts_case("parts", {2, 5, 5, 3, 2, 2}, false),
                parts_case("parts in words", {2, 9, 9, 8, 8, 2}, false),
                parts_case("parts of heads", {2, 9, 9, 8, 8, 2}, true),
                parts_case("wide parts", {1, 66, 66, 40, 40, 2}, false),
                parts_case("wide parts of heads", {1, 66, 66, 40, 40, 2}, true),
                parts_case("parts in bands", {1, 403, 403, 8, 16, 1}, false),
                parts_case("very wide parts", {2, 33, 33, 168, 168, 1}, false),
                heads_case("bench", {2, 256, 256, 32, 32, 2})};
  const auto call = [](const Shape& q, const Shape& k, const Shape& v, std::int64_t heads) {
    return [=] { return attention(Tensor::zeros(q), Tensor::zeros(k), Tensor::zeros(v), heads, 1); };
  };
  file.wrong = {
      {"attention", "widths of q and k", call({1, 3, 4}, {1, 3, 6}, {1, 3, 4}, 2)},
      {"attention", "lengths of k and v", call({1, 3, 4}, {1, 5, 4}, {1, 3, 4}, 2)},
      {"attention", "batches", call({2, 3, 4}, {1, 3, 4}, {1, 3, 4}, 2)},
      {"attention", "ranks", call({3, 4}, {3, 4}, {3, 4}, 2)},
      {"attention", "heads that do not divide", call({1, 3, 4}, {1, 3, 4}, {1, 3, 4}, 3)},
      {"attention", "no heads", call({1, 3, 4}, {1, 3, 4}, {1, 3, 4}, 0)},
      {"attention", "nothing to attend to", call({1, 3, 4}, {1, 0, 4}, {1, 0, 4}, 1)},
      {"attention", "dtypes",
       [] {
         return attention(Tensor::zeros({1, 3, 4}), Tensor::zeros({1, 3, 4}, DType::f64), Tensor::zeros({1, 3, 4}), 1,
                          1);
       }},
  };
  return file;
}

}  // namespace costate
