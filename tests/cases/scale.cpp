// Cases of the product with a number.
#include "autodiff/ops/scale.h"

#include "tests/cases/case.h"

namespace costate {

CaseFile scale_case() {
  const CaseFunction run = [](const Tensors& in) { return scale(in[0], -1.75); };
  CaseFile file{.name = "scale"};
  file.cases = {
      {.op = "scale",
       .variant = "image",
       .inputs = {batched({3, 2, 5, 7})},
       .run = run,
       .plain =
           [](const Tensors& in) {
             auto values = in[0].to_vector();
             for (auto& v : values) v *= -1.75;
             return Tensor::from(values, in[0].shape());
           },
       .flops = 210},
      {.op = "scale",
       .variant = "bench",
       .inputs = {batched({2, 32, 32, 64})},
       .run = run,
       .flops = 2 * 32 * 32 * 64,
       .bench = true},
  };
  file.wrong = {{"scale", "integers", [] { return scale(Tensor::zeros({2}, DType::i32), 2); }},
                {"scale", "nothing", [] { return scale(Tensor(), 2); }}};
  return file;
}

}  // namespace costate
