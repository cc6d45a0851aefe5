// Cases of rows by a weight matrix: ranks, a transposed matrix, a bias.
#include "autodiff/ops/linear.h"

#include <algorithm>

#include "autodiff/ops/add.h"
#include "tests/cases/read_twice.h"

namespace costate {
namespace {

/// x (..., k) to n columns.
Case layer(const std::string& variant, const Shape& x, std::int64_t n, bool bias, bool transposed) {
  const std::int64_t k = x[-1], rows = x.size() / k;
  Case one{
      .op = "linear",
      .variant = variant,
      .inputs = {x.rank() > 1 ? batched(x) : CaseInput{x}, {transposed ? Shape{n, k} : Shape{k, n}}},
      .run = [transposed](
                 const Tensors& in) { return linear(in[0], in[1], in.size() == 3 ? in[2] : Tensor(), {}, transposed); },
      .plain =
          [=](const Tensors& in) {
            const auto u = in[0].to_vector(), w = in[1].to_vector();
            const auto b = bias ? in[2].to_vector() : std::vector<double>(static_cast<std::size_t>(n));
            std::vector<double> y;
            for (std::int64_t i = 0; i < rows; ++i)
              for (std::int64_t j = 0; j < n; ++j) {
                double sum = b[static_cast<std::size_t>(j)];
                for (std::int64_t l = 0; l < k; ++l)
                  sum += u[static_cast<std::size_t>(i * k + l)] *
                         w[static_cast<std::size_t>(transposed ? j * k + l : l * n + j)];
                y.push_back(sum);
              }
            return Tensor::from(y, x.with(-1, n));
          },
      .flops = 2 * static_cast<double>(x.size() * n),
      .reduction = std::max({k, n, rows})};
  if (bias) one.inputs.push_back({{n}});
  return one;
}

/// A layer with a bias, and an addend (..., n).
Case with_addend(Case one, const Shape& y) {
  one.variant += "_added";
  one.inputs.push_back(y.rank() > 1 ? batched(y) : CaseInput{y});
  one.run = [](const Tensors& in) { return linear(in[0], in[1], in[2], in[3]); };
  one.spec = [](const Tensors& in) { return add(linear(in[0], in[1], in[2]), in[3]); };
  one.plain = {};
  return one;
}

}  // namespace

CaseFile linear_case() {
  CaseFile file{.name = "linear"};
  for (const bool bias : {false, true})
    for (const bool transposed : {false, true}) {
      const std::string name = std::string(bias ? "_bias" : "") + (transposed ? "_transposed" : "");
      file.cases.push_back(layer("vectors" + name, {13, 7}, 17, bias, transposed));
      file.cases.push_back(layer("tokens" + name, {3, 4, 6}, 5, bias, transposed));
    }
  file.cases.push_back(layer("one_vector", {6}, 5, true, false));
  file.cases.push_back(layer("images", {2, 3, 2, 300}, 20, true, false));  // sums in pieces (gpu/gemm.h)
  for (const Shape& x : {Shape{6}, Shape{13, 6}, Shape{2, 3, 2, 6}, Shape{2, 3, 1600}})
    file.cases.push_back(
        with_addend(layer("rank_" + std::to_string(x.rank()) + "_of_" + std::to_string(x[-1]), x, 20, true, false),
                    x.with(-1, 20)));
  for (const bool transposed : {false, true}) {
    file.cases.push_back(
        read_twice(layer(transposed ? "vectors_transposed" : "vectors", {13, 7}, 17, true, transposed)));
    file.cases.push_back(
        read_twice(layer(transposed ? "images_transposed" : "images", {2, 3, 2, 20}, 300, false, transposed)));
  }
  Case bench = layer("bench", {2, 256, 256}, 256, true, false);
  bench.plain = {};
  bench.bench = true;
  file.cases.push_back(bench);
  file.wrong = {
      {"linear", "a weight of rank 3",
       [] {
         return linear(Tensor::zeros({3, 4}), Tensor::zeros({1, 4, 6}));
       }},
      {"linear", "a weight of another width",
       [] {
         return linear(Tensor::zeros({3, 4}), Tensor::zeros({5, 6}));
       }},
      {"linear", "a bias of another width",
       [] {
         return linear(Tensor::zeros({3, 4}), Tensor::zeros({4, 6}), Tensor::zeros({4}));
       }},
      {"linear", "a bias a row",
       [] {
         return linear(Tensor::zeros({3, 4}), Tensor::zeros({4, 6}), Tensor::zeros({3, 6}));
       }},
      {"linear", "an addend of another width",
       [] {
         return linear(Tensor::zeros({3, 4}), Tensor::zeros({4, 6}), {}, Tensor::zeros({3, 4}));
       }},
      {"linear", "integers",
       [] {
         return linear(Tensor::zeros({3, 4}, DType::i32), Tensor::zeros({4, 6}, DType::i32));
       }},
      {"linear", "nothing",
       [] {
         return linear(Tensor::zeros({3, 4}), Tensor());
       }},
  };
  return file;
}

}  // namespace costate
