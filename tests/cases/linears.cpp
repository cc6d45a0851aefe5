// Cases of rows by several weight matrices: apart, and where they lie so that they are one product.
#include "autodiff/ops/linears.h"

#include <algorithm>

#include "autodiff/ops/add.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/linear.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/slice.h"
#include "tests/cases/case.h"

namespace costate {
namespace {

/// x (..., k) by `count` weights that are rows of one tensor (together) or tensors of their own, with as many sets of biases; results beside
/// each other.
Case several(const std::string& variant, const Shape& x, std::int64_t n, std::size_t count, std::size_t biases,
             bool together) {
  const std::int64_t k = x[-1], all = static_cast<std::int64_t>(count);
  Case one{.op = together ? "linears" : "linear",
           .variant = variant,
           .inputs = {x.rank() > 1 ? batched(x) : CaseInput{x}},
           .flops = 2 * static_cast<double>(x.size() * n * all),
           .reduction = std::max({k, n * all, x.size() / k})};
  const auto add_input = [&](const Shape& each) {
    for (std::size_t i = 0; i < (together ? 1 : count); ++i)
      one.inputs.push_back({together ? each.with_front(all) : each});
  };
  add_input({k, n});
  for (std::size_t i = 0; i < biases; ++i) add_input({n});
  // x and up to three lists.
  const auto lists = [=](const Tensors& in) {
    std::vector<Tensors> parts(3);
    for (std::size_t i = 1; i < in.size(); ++i) {
      if (!together) {
        parts[(i - 1) / count].push_back(in[i]);
        continue;
      }
      const Shape each = i == 1 ? Shape{k, n} : Shape{n};
      for (std::int64_t row = 0; row < all; ++row) parts[i - 1].push_back(reshape(slice(in[i], 0, row, 1), each));
    }
    return parts;
  };
  one.run = [=](const Tensors& in) {
    const auto p = lists(in);
    return concat(linears(in[0], p[0], p[1], p[2]), -1);
  };
  one.spec = [=](const Tensors& in) {
    const auto p = lists(in);
    Tensors y;
    for (std::size_t i = 0; i < count; ++i) {
      y.push_back(linear(in[0], p[0][i]));
      for (const std::size_t b : {1, 2})
        if (!p[b].empty())
          y[i] = add(
              y[i],
              reshape(p[b][i], Shape(std::vector<std::int64_t>(static_cast<std::size_t>(x.rank()), 1)).with(-1, n)));
    }
    return concat(y, -1);
  };
  return one;
}

}  // namespace

CaseFile linears_case() {
  CaseFile file{.name = "linears"};
  for (const bool together : {true, false}) {
    const std::string how = together ? "_together" : "_apart";
    file.cases.push_back(several("vectors" + how, {13, 7}, 17, 3, 0, together));
    file.cases.push_back(several("tokens" + how, {3, 4, 6}, 5, 2, 1, together));
    file.cases.push_back(several("two_biases" + how, {2, 24}, 16, 4, 2, together));
  }
  file.cases.push_back(several("one_vector", {6}, 5, 3, 1, true));
  file.cases.push_back(several("pieces", {2, 3, 1600}, 24, 2, 1, true));  // sums in pieces (gpu/gemm.h)
  Case bench = several("bench", {2, 256, 256}, 256, 3, 1, true);
  bench.spec = {};
  bench.bench = true;
  file.cases.push_back(bench);
  const Tensor w = Tensor::zeros({2, 4, 6});
  const Tensors pair{w.rows(0, 1).reshaped({4, 6}), w.rows(1, 1).reshaped({4, 6})};
  file.wrong = {
      {"linears", "a width that does not fit",
       [pair] {
         return linears(Tensor::zeros({3, 5}), pair)[0];
       }},
      {"linears", "biases for some",
       [pair] {
         return linears(Tensor::zeros({3, 4}), pair, {Tensor::zeros({6})})[0];
       }},
      {"linears", "a bias of another width",
       [pair] {
         return linears(Tensor::zeros({3, 4}), pair, {Tensor::zeros({4}), Tensor::zeros({4})})[0];
       }},
      {"linears", "integers",
       [] {
         const Tensor of = Tensor::zeros({2, 4, 6}, DType::i32);
         return linears(Tensor::zeros({3, 4}, DType::i32),
                        {of.rows(0, 1).reshaped({4, 6}), of.rows(1, 1).reshaped({4, 6})})[0];
       }},
      {"linears", "nothing", [pair] { return linears(Tensor(), pair)[0]; }},
  };
  return file;
}

}  // namespace costate
