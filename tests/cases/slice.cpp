// Cases of slice and its transpose, pad.
#include "autodiff/ops/slice.h"

#include <limits>

#include "tests/cases/case.h"

namespace costate {
namespace {

Case along(const char* op, const char* variant, int axis, CaseFunction run, const Shape& shape = {3, 4, 5}) {
  return {
      .op = op, .variant = variant, .inputs = {axis == 0 ? CaseInput{shape} : batched(shape)}, .run = std::move(run)};
}

}  // namespace

CaseFile slice_case() {
  CaseFile file{.name = "slice"};
  file.cases = {
      along("slice", "rows", 0, [](const Tensors& in) { return slice(in[0], 0, 1, 2); }),
      along("slice", "middle", 1, [](const Tensors& in) { return slice(in[0], 1, 1, 2); }),
      along("slice", "last", -1, [](const Tensors& in) { return slice(in[0], -1, 2, 3); }),
      along("slice", "nothing", 1, [](const Tensors& in) { return slice(in[0], 1, 4, 0); }),
      along("pad", "rows", 0, [](const Tensors& in) { return pad(in[0], 0, 1, 2); }),
      along("pad", "middle", 1, [](const Tensors& in) { return pad(in[0], 1, 2, 0); }),
      along("pad", "last", -1, [](const Tensors& in) { return pad(in[0], -1, 0, 3); }),
      along("slice", "bench", -1, [](const Tensors& in) { return slice(in[0], -1, 32, 32); }, {2, 32, 32, 64}),
      along("pad", "bench", 1, [](const Tensors& in) { return pad(in[0], 1, 1, 1); }, {2, 32, 32, 64}),
  };
  for (auto& c : file.cases) c.bench = c.variant == "bench";
  file.wrong = {
      {"slice", "past the end",
       [] {
         return slice(Tensor::zeros({2, 3}), 1, 2, 2);
       }},
      {"slice", "more than can be counted",
       [] {
         return slice(Tensor::zeros({2, 3}), 1, 2, std::numeric_limits<std::int64_t>::max());
       }},
      {"slice", "a negative start",
       [] {
         return slice(Tensor::zeros({2, 3}), 0, -1, 1);
       }},
      {"slice", "an axis outside",
       [] {
         return slice(Tensor::zeros({2, 3}), 2, 0, 1);
       }},
      {"pad", "negative zeros",
       [] {
         return pad(Tensor::zeros({2, 3}), 1, -1, 1);
       }},
      {"pad", "an axis outside",
       [] {
         return pad(Tensor::zeros({2, 3}), -3, 1, 1);
       }},
  };
  return file;
}

}  // namespace costate
