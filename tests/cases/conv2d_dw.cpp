// Cases of the weight gradient of convolution.
#include "tests/cases/convolutions.h"

namespace costate {

CaseFile conv2d_dw_case() {
  CaseFile file{.name = "conv2d_dw"};
  for (const auto& c : convolutions()) {
    Case one{.op = "conv2d_dw", .variant = c.variant, .inputs = {{c.x}, {c.y()}}};
    one.run = [g = c.geometry, w = c.w](const Tensors& in) { return conv2d_dw(in[0], in[1], w, g); };
    one.plain = [c](const Tensors& in) {
      const auto x = in[0].to_vector(), g = in[1].to_vector();
      std::vector<double> dw(static_cast<std::size_t>(c.w.size()));
      for_each_product(c, [&](std::size_t i, std::size_t j, std::size_t k) { dw[j] += x[i] * g[k]; });
      return Tensor::from(dw, c.w);
    };
    one.flops = c.flops();
    one.reduction = c.reduction();
    one.bench = c.bench;
    file.cases.push_back(one);
  }
  const auto call = [](const Shape& x, const Shape& g, const Shape& w) {
    return [=] { return conv2d_dw(Tensor::zeros(x), Tensor::zeros(g), w); };
  };
  file.wrong = {
      {"conv2d_dw", "a cotangent of another size", call({1, 4, 4, 3}, {1, 3, 3, 4}, {3, 3, 3, 4})},
      {"conv2d_dw", "batches", call({2, 4, 4, 3}, {1, 2, 2, 4}, {3, 3, 3, 4})},
      {"conv2d_dw", "channels", call({1, 4, 4, 3}, {1, 2, 2, 4}, {3, 3, 2, 4})},
      {"conv2d_dw", "ranks", call({4, 4, 3}, {1, 2, 2, 4}, {3, 3, 3, 4})},
      {"conv2d_dw", "dtypes",
       [] {
         return conv2d_dw(Tensor::zeros({1, 4, 4, 3}), Tensor::zeros({1, 2, 2, 4}, DType::bf16), {3, 3, 3, 4});
       }},
      {"conv2d_dw", "integers",
       [] {
         return conv2d_dw(Tensor::zeros({1, 4, 4, 3}, DType::i32), Tensor::zeros({1, 2, 2, 4}, DType::i32),
                          {3, 3, 3, 4});
       }},
  };
  return file;
}

}  // namespace costate
