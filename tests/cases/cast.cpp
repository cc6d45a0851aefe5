// Cases of cast: there and back, so that the result has the dtype of the input.
#include "autodiff/ops/cast.h"

#include "tests/cases/case.h"

namespace costate {

CaseFile cast_case() {
  const auto through = [](const char* variant, DType dtype, const Shape& shape) {
    return Case{.op = "cast",
                .variant = variant,
                .inputs = {batched(shape)},
                .run = [dtype](const Tensors& in) { return cast(cast(in[0], dtype), in[0].dtype()); },
                .through = dtype};
  };
  CaseFile file{.name = "cast"};
  file.cases = {through("f32", DType::f32, {3, 5, 7}), through("bf16", DType::bf16, {3, 5, 7}),
                through("bench", DType::f32, {2, 32, 32, 64})};
  file.cases[0].plain = [](const Tensors& in) {
    auto values = in[0].to_vector();
    for (auto& v : values) v = static_cast<float>(v);
    return Tensor::from(values, in[0].shape());
  };
  file.cases[2].bench = true;
  file.wrong = {{"cast", "nothing", [] { return cast(Tensor(), DType::f64); }}};
  return file;
}

}  // namespace costate
