// Cases of the mean squared error.
#include "autodiff/ops/mse.h"

#include "tests/cases/case.h"

namespace costate {

CaseFile mse_case() {
  CaseFile file{.name = "mse"};
  for (const auto& [variant, shape] :
       {std::pair<const char*, Shape>{"image", {2, 3, 4, 5}}, {"bench", {2, 32, 32, 64}}}) {
    file.cases.push_back({.op = "mse",
                          .variant = variant,
                          .inputs = {{shape}, {shape}},
                          .run = [](const Tensors& in) { return mse(in[0], in[1]); },
                          .plain =
                              [](const Tensors& in) {
                                const auto a = in[0].to_vector(), b = in[1].to_vector();
                                double total = 0;
                                for (std::size_t i = 0; i < a.size(); ++i) total += (a[i] - b[i]) * (a[i] - b[i]);
                                return Tensor::from({total / static_cast<double>(a.size())}, {});
                              },
                          .flops = 3.0 * static_cast<double>(shape.size()),
                          .reduction = shape.size(),
                          .bench = std::string(variant) == "bench"});
  }
  file.wrong = {{"mse", "shapes",
                 [] {
                   return mse(Tensor::zeros({2, 1}), Tensor::zeros({2, 3}));
                 }},
                {"mse", "dtypes", [] { return mse(Tensor::zeros({2}), Tensor::zeros({2}, DType::f64)); }},
                {"mse", "nothing", [] { return mse(Tensor::zeros({2}), Tensor()); }}};
  return file;
}

}  // namespace costate
