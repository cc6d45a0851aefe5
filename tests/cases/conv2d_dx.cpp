// Cases of the data gradient of convolution.
#include "autodiff/ops/add.h"
#include "tests/cases/convolutions.h"
#include "tests/cases/read_twice.h"

namespace costate {
namespace {

Case with_addend(const Convolution& c, const Case& without) {
  Case one = without;
  one.variant += "_added";
  one.inputs.push_back(batched(c.x));
  one.run = [g = c.geometry, x = c.x](const Tensors& in) {
    return conv2d_dx(in[0], in[1], x.with(0, in[0].dim(0)), g, in[2]);
  };
  one.spec = [run = without.run](const Tensors& in) { return add(run({in[0], in[1]}), in[2]); };
  one.plain = {};
  return one;
}

}  // namespace

CaseFile conv2d_dx_case() {
  CaseFile file{.name = "conv2d_dx"};
  for (const auto& c : convolutions()) {
    Case one{.op = "conv2d_dx", .variant = c.variant, .inputs = {batched(c.y()), {c.w}}};
    one.run = [g = c.geometry, x = c.x](const Tensors& in) {
      return conv2d_dx(in[0], in[1], x.with(0, in[0].dim(0)), g);
    };
    one.plain = [c](const Tensors& in) {
      const auto g = in[0].to_vector(), w = in[1].to_vector();
      std::vector<double> dx(static_cast<std::size_t>(c.x.size()));
      for_each_product(c, [&](std::size_t i, std::size_t j, std::size_t k) { dx[i] += g[k] * w[j]; });
      return Tensor::from(dx, c.x);
    };
    one.flops = c.flops();
    one.reduction = c.reduction();
    one.bench = c.bench;
    file.cases.push_back(one);
    for (const char* variant : {"same", "stride", "groups", "one", "winograd_4", "winograd_2", "words", "narrow"})
      if (c.variant == variant) {
        file.cases.push_back(with_addend(c, one));
        file.cases.push_back(read_twice(one));
      }
  }
  const auto call = [](const Shape& g, const Shape& w, const Shape& x) {
    return [=] { return conv2d_dx(Tensor::zeros(g), Tensor::zeros(w), x); };
  };
  file.wrong = {
      {"conv2d_dx", "a cotangent of another size", call({1, 3, 3, 4}, {3, 3, 3, 4}, {1, 4, 4, 3})},
      {"conv2d_dx", "channels", call({1, 2, 2, 4}, {3, 3, 2, 4}, {1, 4, 4, 3})},
      {"conv2d_dx", "an addend of another size",
       [] {
         return conv2d_dx(Tensor::zeros({1, 2, 2, 4}), Tensor::zeros({3, 3, 3, 4}), {1, 4, 4, 3}, {},
                          Tensor::zeros({1, 2, 2, 4}));
       }},
      {"conv2d_dx", "a row for an addend",
       [] {
         return conv2d_dx(Tensor::zeros({1, 2, 2, 4}), Tensor::zeros({3, 3, 3, 4}), {1, 4, 4, 3}, {},
                          Tensor::zeros({3}));
       }},
      {"conv2d_dx", "ranks", call({2, 2, 4}, {3, 3, 3, 4}, {1, 4, 4, 3})},
      {"conv2d_dx", "dtypes",
       [] {
         return conv2d_dx(Tensor::zeros({1, 2, 2, 4}), Tensor::zeros({3, 3, 3, 4}, DType::f64), {1, 4, 4, 3});
       }},
      {"conv2d_dx", "integers",
       [] {
         return conv2d_dx(Tensor::zeros({1, 2, 2, 4}, DType::i32), Tensor::zeros({3, 3, 3, 4}, DType::i32),
                          {1, 4, 4, 3});
       }},
  };
  return file;
}

}  // namespace costate
