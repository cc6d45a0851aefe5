// Cases of reshape, which shares storage.
#include "autodiff/ops/reshape.h"

#include "tests/cases/case.h"

namespace costate {

CaseFile reshape_case() {
  CaseFile file{.name = "reshape"};
  file.cases = {
      {.op = "reshape",
       .variant = "image",
       .inputs = {batched({2, 3, 4, 5})},
       .run =
           [](const Tensors& in) {
             return reshape(in[0], {in[0].dim(0), 12, 5});
           },
       .plain =
           [](const Tensors& in) {
             return Tensor::from(in[0].to_vector(), {2, 12, 5});
           }},
      {.op = "reshape",
       .variant = "bench",
       .inputs = {batched({2, 32, 32, 64})},
       .run =
           [](const Tensors& in) {
             return reshape(in[0], {in[0].dim(0), 1024, 64});
           },
       .bench = true},
  };
  file.wrong = {{"reshape", "another size", [] { return reshape(Tensor::zeros({2, 3}), {4, 2}); }}};
  return file;
}

}  // namespace costate
