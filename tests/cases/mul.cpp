// Cases of the elementwise product, with and without stretched operands.
#include "autodiff/ops/mul.h"

#include "autodiff/ops/sum.h"
#include "tests/cases/case.h"

namespace costate {

CaseFile mul_case() {
  const CaseFunction run = [](const Tensors& in) { return mul(in[0], in[1]); };
  CaseFile file{.name = "mul"};
  file.cases = {
      {.op = "mul", .variant = "equal", .inputs = {batched({3, 5, 7}), batched({3, 5, 7})}, .run = run, .flops = 105},
      {.op = "mul",
       .variant = "stretched",
       .inputs = {batched({3, 1, 7}), {{1, 5, 1}}},
       .run = run,
       .spec =
           [](const Tensors& in) {
             const Shape full{in[0].dim(0), 5, 7};
             return mul(broadcast_to(in[0], full), broadcast_to(in[1], full));
           },
       .flops = 105,
       .reduction = 21},
      {.op = "mul",
       .variant = "square",
       .inputs = {batched({3, 5})},
       .run = [](const Tensors& in) { return square(in[0]); },
       .flops = 15},
      {.op = "mul",
       .variant = "bench",
       .inputs = {batched({2, 32, 32, 64}), batched({2, 32, 32, 64})},
       .run = run,
       .flops = 2 * 32 * 32 * 64,
       .bench = true},
  };
  file.wrong = {
      {"mul", "extents that do not stretch",
       [] {
         return mul(Tensor::zeros({2, 3}), Tensor::zeros({2, 4}));
       }},
      {"mul", "ranks",
       [] {
         return mul(Tensor::zeros({2, 3}), Tensor::zeros({3}));
       }},
      {"mul", "dtypes", [] { return mul(Tensor::zeros({2}), Tensor::zeros({2}, DType::bf16)); }},
      {"mul", "integers", [] { return mul(Tensor::zeros({2}, DType::i32), Tensor::zeros({2}, DType::i32)); }},
      {"mul", "nothing", [] { return mul(Tensor(), Tensor::zeros({2})); }},
  };
  return file;
}

}  // namespace costate
