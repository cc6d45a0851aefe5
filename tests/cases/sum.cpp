// Cases of sums over axes and of their transpose.
#include "autodiff/ops/sum.h"

#include "tests/cases/case.h"

namespace costate {
namespace {

/// Sums (2, 3, 4, 5) -> the given extents by a walk over all elements.
Tensor sum_plainly(const Tensor& x, const Shape& shape) {
  const auto from = x.to_vector();
  std::vector<double> to(static_cast<std::size_t>(shape.size()));
  for (std::int64_t i = 0; i < x.size(); ++i) {
    std::int64_t at = 0, step = 1, rest = i;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      if (shape[axis] != 1) at += rest % x.dim(axis) * step;
      rest /= x.dim(axis);
      step *= shape[axis];
    }
    to[static_cast<std::size_t>(at)] += from[static_cast<std::size_t>(i)];
  }
  return Tensor::from(to, shape);
}

Case sum_over(const std::string& variant, const Shape& shape, std::int64_t reduction) {
  return {
      .op = "sum_to",
      .variant = variant,
      .inputs = {shape[0] == 1 ? CaseInput{{2, 3, 4, 5}} : batched({2, 3, 4, 5})},
      .run = [shape](const Tensors& in) { return sum_to(in[0], shape[0] == 1 ? shape : shape.with(0, in[0].dim(0))); },
      .plain = [shape](const Tensors& in) { return sum_plainly(in[0], shape); },
      .flops = 120,
      .reduction = reduction};
}

}  // namespace

CaseFile sum_case() {
  CaseFile file{.name = "sum"};
  file.cases = {
      sum_over("last", {2, 3, 4, 1}, 5),
      sum_over("middle", {2, 1, 1, 5}, 12),
      sum_over("outer", {1, 3, 1, 5}, 8),
      sum_over("all", {1, 1, 1, 1}, 120),
      {.op = "sum_to",
       .variant = "scalar",
       .inputs = {{{3, 5}}},
       .run = [](const Tensors& in) { return sum(in[0]); },
       .flops = 15,
       .reduction = 15},
      {.op = "sum_to",
       .variant = "mean",
       .inputs = {{{3, 5}}},
       .run = [](const Tensors& in) { return mean(in[0]); },
       .flops = 16,
       .reduction = 15},
      {.op = "sum_to",
       .variant = "inner",
       .inputs = {{{3, 5}}, {{3, 5}}},
       .run = [](const Tensors& in) { return inner(in[0], in[1]); },
       .flops = 30,
       .reduction = 15},
      {.op = "sum_to",
       .variant = "bench",
       .inputs = {batched({2, 32, 32, 64})},
       .run =
           [](const Tensors& in) {
             return sum_to(in[0], {in[0].dim(0), 1, 1, 64});
           },
       .flops = 2 * 32 * 32 * 64,
       .reduction = 32 * 32,
       .bench = true},
      {.op = "broadcast_to",
       .variant = "image",
       .inputs = {batched({2, 1, 4, 1})},
       .run =
           [](const Tensors& in) {
             return broadcast_to(in[0], {in[0].dim(0), 3, 4, 5});
           },
       .reduction = 15},
      {.op = "broadcast_to",
       .variant = "bench",
       .inputs = {batched({2, 1, 1, 64})},
       .run =
           [](const Tensors& in) {
             return broadcast_to(in[0], {in[0].dim(0), 32, 32, 64});
           },
       .reduction = 32 * 32,
       .bench = true},
  };
  file.wrong = {
      {"sum_to", "extents",
       [] {
         return sum_to(Tensor::zeros({2, 3}), {1, 2});
       }},
      {"sum_to", "ranks",
       [] {
         return sum_to(Tensor::zeros({2, 3}), {1});
       }},
      {"broadcast_to", "extents",
       [] {
         return broadcast_to(Tensor::zeros({2, 3}), {2, 6});
       }},
      {"broadcast_to", "ranks",
       [] {
         return broadcast_to(Tensor::zeros({3}), {2, 3});
       }},
      {"sum_to", "nothing to sum",
       [] {
         return sum_to(Tensor::zeros({0, 2}), {1, 2});
       }},
      {"broadcast_to", "to nothing",
       [] {
         return broadcast_to(Tensor::zeros({1, 2}), {0, 2});
       }},
      {"inner", "shapes", [] { return inner(Tensor::zeros({2}), Tensor::zeros({3})); }},
  };
  return file;
}

}  // namespace costate
