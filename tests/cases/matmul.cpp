// Cases of the batched matrix product: every transposition, a shared second factor, odd sizes.
#include "autodiff/ops/matmul.h"

#include <algorithm>

#include "tests/cases/case.h"

namespace costate {
namespace {

Tensor matmul_plainly(const Tensor& a, const Tensor& b, bool ta, bool tb) {
  const auto u = a.to_vector(), v = b.to_vector();
  const auto batch = a.dim(0), m = a.dim(ta ? 2 : 1), k = a.dim(ta ? 1 : 2), n = b.dim(tb ? 1 : 2);
  std::vector<double> c;
  for (std::int64_t s = 0; s < batch; ++s)
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        const std::int64_t at_a = s * m * k, at_b = b.dim(0) == 1 ? 0 : s * k * n;
        double sum = 0;
        for (std::int64_t l = 0; l < k; ++l)
          sum += u[static_cast<std::size_t>(at_a + (ta ? l * m + i : i * k + l))] *
                 v[static_cast<std::size_t>(at_b + (tb ? j * k + l : l * n + j))];
        c.push_back(sum);
      }
  return Tensor::from(c, {batch, m, n});
}

struct Sizes {
  std::int64_t batch, m, k, n;
};

Case product(const std::string& variant, Sizes s, bool ta, bool tb, bool shared) {
  const Shape a = ta ? Shape{s.batch, s.k, s.m} : Shape{s.batch, s.m, s.k},
              b = tb ? Shape{s.batch, s.n, s.k} : Shape{s.batch, s.k, s.n};
  return {.op = "matmul",
          .variant = variant,
          .inputs = {batched(a), shared ? CaseInput{b.with(0, 1)} : batched(b)},
          .run = [ta, tb](const Tensors& in) { return matmul(in[0], in[1], ta, tb); },
          .plain = [ta, tb](const Tensors& in) { return matmul_plainly(in[0], in[1], ta, tb); },
          .flops = 2 * static_cast<double>(s.batch * s.m * s.k * s.n),
          .reduction = std::max({s.k, s.n, shared ? s.batch * s.m : s.m})};
}

}  // namespace

CaseFile matmul_case() {
  CaseFile file{.name = "matmul"};
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const std::string name = std::string(ta ? "t" : "n") + (tb ? "t" : "n");
      file.cases.push_back(product(name, {2, 5, 7, 3}, ta, tb, false));
      file.cases.push_back(product(name + "_shared", {3, 13, 4, 17}, ta, tb, true));
    }
  }
  file.cases.push_back(product("one_row", {2, 1, 19, 33}, false, false, false));
  file.cases.push_back(product("rows", {11, 1, 300, 20}, false, false, true));  // sums in pieces (gpu/gemm.h)
  file.cases.push_back(product("wide", {1, 9, 3, 70}, false, true, false));
  for (Case bench : {product("bench", {2, 256, 256, 256}, false, false, false),
                     product("bench_nt", {2, 256, 64, 256}, false, true, false),
                     product("bench_tn", {2, 256, 256, 64}, true, false, false)}) {
    bench.bench = true;
    file.cases.push_back(bench);
  }
  file.wrong = {
      {"matmul", "inner extents",
       [] {
         return matmul(Tensor::zeros({2, 3, 4}), Tensor::zeros({2, 5, 6}));
       }},
      {"matmul", "inner extents, transposed",
       [] {
         return matmul(Tensor::zeros({2, 3, 4}), Tensor::zeros({2, 4, 6}), true, true);
       }},
      {"matmul", "batches",
       [] {
         return matmul(Tensor::zeros({2, 3, 4}), Tensor::zeros({3, 4, 6}));
       }},
      {"matmul", "ranks",
       [] {
         return matmul(Tensor::zeros({3, 4}), Tensor::zeros({4, 6}));
       }},
      {"matmul", "dtypes",
       [] {
         return matmul(Tensor::zeros({1, 3, 4}), Tensor::zeros({1, 4, 6}, DType::f64));
       }},
      {"matmul", "integers",
       [] {
         return matmul(Tensor::zeros({1, 3, 4}, DType::i32), Tensor::zeros({1, 4, 6}, DType::i32));
       }},
      {"matmul", "nothing",
       [] {
         return matmul(Tensor::zeros({1, 3, 4}), Tensor());
       }},
  };
  return file;
}

}  // namespace costate
