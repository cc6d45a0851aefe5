// Cases of concat.
#include "autodiff/ops/concat.h"

#include "tests/cases/case.h"

namespace costate {

CaseFile concat_case() {
  CaseFile file{.name = "concat"};
  file.cases = {
      {.op = "concat",
       .variant = "rows",
       .inputs = {{{2, 3}}, {{1, 3}}},
       .run = [](const Tensors& in) { return concat(in, 0); }},
      {.op = "concat",
       .variant = "channels",
       .inputs = {batched({2, 3, 3, 4}), batched({2, 3, 3, 1}), batched({2, 3, 3, 2})},
       .run = [](const Tensors& in) { return concat(in, -1); }},
      {.op = "concat",
       .variant = "middle",
       .inputs = {batched({2, 3, 4}), batched({2, 0, 4}), batched({2, 2, 4})},
       .run = [](const Tensors& in) { return concat(in, 1); },
       .plain =
           [](const Tensors& in) {
             std::vector<double> all;
             const auto a = in[0].to_vector(), b = in[2].to_vector();
             for (int i = 0; i < 2; ++i) {
               all.insert(all.end(), a.begin() + 12 * i, a.begin() + 12 * (i + 1));
               all.insert(all.end(), b.begin() + 8 * i, b.begin() + 8 * (i + 1));
             }
             return Tensor::from(all, {2, 5, 4});
           }},
      {.op = "concat",
       .variant = "bench",
       .inputs = {batched({2, 32, 32, 64}), batched({2, 32, 32, 64})},
       .run = [](const Tensors& in) { return concat(in, -1); },
       .bench = true},
  };
  file.wrong = {
      {"concat", "no parts", [] { return concat({}, 0); }},
      {"concat", "other extents",
       [] {
         return concat({Tensor::zeros({2, 3}), Tensor::zeros({3, 3})}, 1);
       }},
      {"concat", "ranks",
       [] {
         return concat({Tensor::zeros({2, 3}), Tensor::zeros({2})}, 0);
       }},
      {"concat", "dtypes",
       [] {
         return concat({Tensor::zeros({2}), Tensor::zeros({2}, DType::f64)}, 0);
       }},
      {"concat", "an axis outside",
       [] {
         return concat({Tensor::zeros({2}), Tensor::zeros({2})}, 1);
       }},
  };
  return file;
}

}  // namespace costate
