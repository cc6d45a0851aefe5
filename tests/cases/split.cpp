// Cases of split.
#include "autodiff/ops/split.h"

#include "autodiff/ops/concat.h"
#include "autodiff/ops/slice.h"
#include "tests/cases/case.h"

namespace costate {
namespace {

/// Two parts in turned order, so that both are to be told apart.
Case turned(const char* variant, int axis, const Shape& shape, std::int64_t first) {
  const auto rest = [=](const Tensors& in) { return in[0].dim(axis) - first; };
  return {.op = "split",
          .variant = variant,
          .inputs = {axis == 0 ? CaseInput{shape} : batched(shape)},
          .run =
              [=](const Tensors& in) {
                const Tensors parts = split(in[0], axis, {first, rest(in)});
                return concat({parts[1], parts[0]}, axis);
              },
          .spec =
              [=](const Tensors& in) {
                return concat({slice(in[0], axis, first, rest(in)), slice(in[0], axis, 0, first)}, axis);
              },
          .bench = std::string(variant) == "bench"};
}

}  // namespace

CaseFile split_case() {
  CaseFile file{.name = "split"};
  file.cases = {turned("rows", 0, {3, 4, 5}, 1),
                turned("middle", 1, {3, 4, 5}, 1),
                turned("last", -1, {3, 4, 5}, 2),
                turned("words", -1, {2, 3, 24}, 8),
                turned("bench", -1, {2, 32, 32, 128}, 64),
                {.op = "split",
                 .variant = "one of three",
                 .inputs = {batched({2, 3, 6})},
                 .run =
                     [](const Tensors& in) {
                       return split(in[0], 2, {1, 3, 2})[1];
                     },
                 .spec = [](const Tensors& in) { return slice(in[0], 2, 1, 3); }},
                {.op = "split", .variant = "all of it", .inputs = {batched({2, 3})}, .run = [](const Tensors& in) {
                   return split(in[0], 1, {3})[0];
                 }}};
  file.wrong = {
      {"split", "parts that are too few",
       [] {
         return split(Tensor::zeros({2, 3}), 1, {1, 1})[0];
       }},
      {"split", "none",
       [] {
         return split(Tensor::zeros({2, 0}), 1, {})[0];
       }},
      {"split", "an axis outside",
       [] {
         return split(Tensor::zeros({2, 3}), 2, {3})[0];
       }},
  };
  return file;
}

}  // namespace costate
