// Cases of weighted sums, with and without stretched operands.
#include "autodiff/ops/add.h"

#include "autodiff/ops/scale.h"
#include "autodiff/ops/sum.h"
#include "tests/cases/case.h"

namespace costate {

CaseFile add_case() {
  const CaseFunction run = [](const Tensors& in) { return add(in[0], in[1]); };
  CaseFile file{.name = "add"};
  file.cases = {
      {.op = "add", .variant = "equal", .inputs = {batched({3, 5, 7}), batched({3, 5, 7})}, .run = run, .flops = 105},
      {.op = "add",
       .variant = "stretched",
       .inputs = {batched({3, 1, 7}), {{1, 5, 1}}},
       .run = [](const Tensors& in) { return lincomb(2.5, in[0], -0.75, in[1]); },
       .spec =
           [](const Tensors& in) {
             const Shape full{in[0].dim(0), 5, 7};
             return add(scale(broadcast_to(in[0], full), 2.5), scale(broadcast_to(in[1], full), -0.75));
           },
       .flops = 315,
       .reduction = 21},
      {.op = "add",
       .variant = "scalar",
       .inputs = {batched({3, 5})},
       .run = [](const Tensors& in) { return add_scalar(in[0], 1.5); },
       .flops = 15},
      {.op = "add",
       .variant = "sub",
       .inputs = {batched({2, 3, 4, 5}), batched({2, 3, 4, 5})},
       .run = [](const Tensors& in) { return sub(in[0], in[1]); },
       .flops = 120},
      {.op = "add", .variant = "empty", .inputs = {batched({2, 0, 3}), batched({2, 0, 3})}, .run = run},
      {.op = "add",
       .variant = "bench",
       .inputs = {batched({2, 32, 32, 64}), batched({2, 32, 32, 64})},
       .run = run,
       .flops = 2 * 32 * 32 * 64,
       .bench = true},
      {.op = "add",
       .variant = "bench_bias",
       .inputs = {batched({2, 32, 32, 64}), {{1, 1, 1, 64}}},
       .run = run,
       .flops = 2 * 32 * 32 * 64,
       .reduction = 2 * 32 * 32,
       .bench = true},
  };
  file.wrong = {
      {"add", "extents that do not stretch",
       [] {
         return add(Tensor::zeros({2, 3}), Tensor::zeros({2, 4}));
       }},
      {"add", "ranks",
       [] {
         return add(Tensor::zeros({2, 3}), Tensor::zeros({3}));
       }},
      {"add", "dtypes", [] { return add(Tensor::zeros({2}), Tensor::zeros({2}, DType::f64)); }},
      {"add", "integers", [] { return add(Tensor::zeros({2}, DType::i32), Tensor::zeros({2}, DType::i32)); }},
      {"add", "nothing", [] { return add(Tensor::zeros({2}), Tensor()); }},
  };
  return file;
}

}  // namespace costate
