// Cases of gather_rows and its transpose, with indices that repeat.
#include "autodiff/ops/rows.h"

#include "tests/cases/case.h"

namespace costate {

CaseFile rows_case() {
  CaseFile file{.name = "rows"};
  file.cases = {
      {.op = "gather_rows",
       .variant = "repeated",
       .inputs = {{{4, 5}}, batched_indices({7}, 4)},
       .run = [](const Tensors& in) { return gather_rows(in[0], in[1]); },
       .plain =
           [](const Tensors& in) {
             const auto table = in[0].to_vector(), index = in[1].to_vector();
             std::vector<double> y;
             for (const double i : index)
               y.insert(y.end(), table.begin() + 5 * static_cast<int>(i), table.begin() + 5 * static_cast<int>(i) + 5);
             return Tensor::from(y, {7, 5});
           },
       .reduction = 7},
      {.op = "gather_rows",
       .variant = "bench",
       .inputs = {{{1000, 256}}, batched_indices({512}, 1000)},
       .run = [](const Tensors& in) { return gather_rows(in[0], in[1]); },
       .reduction = 8,
       .bench = true},
      {.op = "scatter_add_rows",
       .variant = "repeated",
       .inputs = {{{7, 5}}, indices({7}, 4)},
       .run = [](const Tensors& in) { return scatter_add_rows(in[0], in[1], 4); },
       .plain =
           [](const Tensors& in) {
             const auto g = in[0].to_vector(), index = in[1].to_vector();
             std::vector<double> table(20);
             for (std::size_t i = 0; i < 35; ++i) table[static_cast<std::size_t>(index[i / 5]) * 5 + i % 5] += g[i];
             return Tensor::from(table, {4, 5});
           },
       .reduction = 7},
      {.op = "scatter_add_rows",
       .variant = "bench",
       .inputs = {{{512, 256}}, indices({512}, 1000)},
       .run = [](const Tensors& in) { return scatter_add_rows(in[0], in[1], 1000); },
       .flops = 512 * 256,
       .reduction = 8,
       .bench = true},
  };
  const auto index = [](double i) { return Tensor::from({0, i}, {2}, DType::i32); };
  file.wrong = {
      {"gather_rows", "an index past the end",
       [=] {
         return gather_rows(Tensor::zeros({4, 5}), index(4));
       }},
      {"gather_rows", "a negative index",
       [=] {
         return gather_rows(Tensor::zeros({4, 5}), index(-1));
       }},
      {"gather_rows", "floating indices",
       [] {
         return gather_rows(Tensor::zeros({4, 5}), Tensor::zeros({2}));
       }},
      {"gather_rows", "a vector", [=] { return gather_rows(Tensor::zeros({4}), index(1)); }},
      {"scatter_add_rows", "an index past the end",
       [=] {
         return scatter_add_rows(Tensor::zeros({2, 5}), index(4), 4);
       }},
      {"scatter_add_rows", "too few rows",
       [=] {
         return scatter_add_rows(Tensor::zeros({3, 5}), index(1), 4);
       }},
  };
  return file;
}

}  // namespace costate
