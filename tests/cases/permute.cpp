// Cases of permute.
#include "autodiff/ops/permute.h"

#include "tests/cases/case.h"

namespace costate {
namespace {

/// (a, b, c) -> (a, c, b)
Tensor swap_plainly(const Tensor& x) {
  const auto from = x.to_vector();
  const auto a = x.dim(0), b = x.dim(1), c = x.dim(2);
  std::vector<double> to;
  for (std::int64_t i = 0; i < a; ++i)
    for (std::int64_t k = 0; k < c; ++k)
      for (std::int64_t j = 0; j < b; ++j) to.push_back(from[static_cast<std::size_t>((i * b + j) * c + k)]);
  return Tensor::from(to, {a, c, b});
}

}  // namespace

CaseFile permute_case() {
  CaseFile file{.name = "permute"};
  const auto ordered = [](const char* variant, const Shape& shape, const std::vector<int>& order) {
    return Case{.op = "permute",
                .variant = variant,
                .inputs = {order[0] == 0 ? batched(shape) : CaseInput{shape}},
                .run = [order](const Tensors& in) { return permute(in[0], order); }};
  };
  Case swap = ordered("swap", {2, 3, 5}, {0, 2, 1}), squares = ordered("squares", {2, 40, 67}, {0, 2, 1});
  swap.plain = squares.plain = [](const Tensors& in) { return swap_plainly(in[0]); };
  Case bench = ordered("bench", {2, 256, 4, 32}, {0, 2, 1, 3});
  bench.bench = true;
  file.cases = {swap,
                squares,
                ordered("cycle", {2, 3, 4, 5}, {3, 0, 2, 1}),
                ordered("pictures", {2, 5, 4, 18}, {0, 3, 1, 2}),
                ordered("heads", {2, 7, 2, 3}, {0, 2, 1, 3}),
                bench};
  file.wrong = {
      {"permute", "an axis twice",
       [] {
         return permute(Tensor::zeros({2, 3}), {0, 0});
       }},
      {"permute", "too few axes",
       [] {
         return permute(Tensor::zeros({2, 3}), {0});
       }},
      {"permute", "an axis outside",
       [] {
         return permute(Tensor::zeros({2, 3}), {0, 2});
       }},
  };
  return file;
}

}  // namespace costate
