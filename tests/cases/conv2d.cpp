// Cases of convolution.
#include "autodiff/bias.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/reshape.h"
#include "tests/cases/convolutions.h"
#include "tests/cases/read_twice.h"

namespace costate {

namespace {

/// With something added: a bias (channels), or a row of them an image, and an image.
Case with_added(const Convolution& c, const Case& without, const std::string& suffix, bool rows, bool addend) {
  Case one = without;
  one.variant += suffix;
  one.inputs.push_back(rows ? batched({c.x[0], c.w[3]}) : CaseInput{{c.w[3]}});
  if (addend) one.inputs.push_back(batched(c.y()));
  const auto added = [](const Tensors& in) { return in.size() == 4 ? in[3] : Tensor(); };
  one.run = [=, g = c.geometry](const Tensors& in) { return conv2d(in[0], in[1], in[2], added(in), g); };
  one.spec = [=, g = c.geometry](const Tensors& in) {
    const Tensor& b = in[2];
    const Tensor y = add(conv2d(in[0], in[1], g), reshape(b, bias_shape(b.shape(), 4)));
    return in.size() == 4 ? add(y, in[3]) : y;
  };
  one.plain = {};
  return one;
}

/// With an image and no bias.
Case with_addend(const Convolution& c, const Case& without) {
  Case one = without;
  one.variant += "_addend";
  one.inputs.push_back(batched(c.y()));
  one.run = [g = c.geometry](const Tensors& in) { return conv2d(in[0], in[1], {}, in[2], g); };
  one.spec = [g = c.geometry](const Tensors& in) { return add(conv2d(in[0], in[1], g), in[2]); };
  one.plain = {};
  return one;
}

/// With a linear layer's result of `k` channels.
Case with_linear(const Convolution& c, const Case& without, std::int64_t k, bool biases) {
  Case one = without;
  one.variant += biases ? "_linear_biases" : "_linear";
  one.inputs.push_back(batched(c.y().with(-1, k)));
  one.inputs.push_back({{k, c.w[3]}});
  for (int i = 0; biases && i < 2; ++i) one.inputs.push_back({{c.w[3]}});
  const auto all = [](Tensors in) {
    in.resize(6);
    return in;
  };
  one.run = [=, g = c.geometry](const Tensors& in) {
    const auto at = all(in);
    return conv2d_and_linear(at[0], at[1], at[4], linear_term(at[2], at[3], at[5]), g);
  };
  one.spec = [=, g = c.geometry](const Tensors& in) {
    const auto at = all(in);
    return conv2d(at[0], at[1], at[4], linear(at[2], at[3], at[5]), g);
  };
  one.plain = {};
  one.reduction += k;
  return one;
}

}  // namespace

CaseFile conv2d_case() {
  CaseFile file{.name = "conv2d"};
  for (const auto& c : convolutions()) {
    Case one{.op = "conv2d", .variant = c.variant, .inputs = {batched(c.x), {c.w}}};
    one.run = [g = c.geometry](const Tensors& in) { return conv2d(in[0], in[1], g); };
    one.plain = [c](const Tensors& in) {
      const auto x = in[0].to_vector(), w = in[1].to_vector();
      std::vector<double> y(static_cast<std::size_t>(c.y().size()));
      for_each_product(c, [&](std::size_t i, std::size_t j, std::size_t k) { y[k] += x[i] * w[j]; });
      return Tensor::from(y, c.y());
    };
    one.flops = c.flops();
    one.reduction = c.reduction();
    one.bench = c.bench;
    file.cases.push_back(one);
    for (const char* variant : {"same", "stride", "groups", "one", "winograd_4", "winograd_2", "words", "narrow"})
      if (c.variant == variant) {
        file.cases.push_back(with_added(c, one, "_bias", false, false));
        file.cases.push_back(with_added(c, one, "_bias_rows", true, false));
        file.cases.push_back(with_added(c, one, "_added", c.variant != "one", true));
        file.cases.push_back(read_twice(one));
        if (c.variant == "same") file.cases.push_back(with_addend(c, one));
        for (const bool biases : {false, true}) file.cases.push_back(with_linear(c, one, 16, biases));
      }
  }
  const auto call = [](const Shape& x, const Shape& w, const ConvGeometry& g = {}) {
    return [=] { return conv2d(Tensor::zeros(x), Tensor::zeros(w), g); };
  };
  file.wrong = {
      {"conv2d", "channels", call({1, 4, 4, 3}, {3, 3, 2, 4})},
      {"conv2d", "ranks", call({4, 4, 3}, {3, 3, 3, 4})},
      {"conv2d", "a kernel larger than the image", call({1, 2, 2, 3}, {3, 3, 3, 4})},
      {"conv2d", "an empty kernel", call({1, 2, 2, 3}, {0, 3, 3, 4})},
      {"conv2d", "no images", call({0, 4, 4, 3}, {3, 3, 3, 4})},
      {"conv2d", "no output channels", call({1, 4, 4, 3}, {3, 3, 3, 0})},
      {"conv2d", "stride 0", call({1, 4, 4, 3}, {3, 3, 3, 4}, {.stride_h = 0})},
      {"conv2d", "dilation 0", call({1, 4, 4, 3}, {3, 3, 3, 4}, {.dilation_w = 0})},
      {"conv2d", "no groups", call({1, 4, 4, 3}, {3, 3, 3, 4}, {.groups = 0})},
      {"conv2d", "groups that do not divide", call({1, 4, 4, 4}, {3, 3, 2, 3}, {.groups = 2})},
      {"conv2d", "dtypes",
       [] {
         return conv2d(Tensor::zeros({1, 4, 4, 3}), Tensor::zeros({3, 3, 3, 4}, DType::f64));
       }},
      {"conv2d", "integers",
       [] {
         return conv2d(Tensor::zeros({1, 4, 4, 3}, DType::i32), Tensor::zeros({3, 3, 3, 4}, DType::i32));
       }},
      {"conv2d", "a bias of another width",
       [] {
         return conv2d(Tensor::zeros({2, 4, 4, 3}), Tensor::zeros({3, 3, 3, 4}), Tensor::zeros({3}), {});
       }},
      {"conv2d", "biases of fewer images",
       [] {
         return conv2d(Tensor::zeros({2, 4, 4, 3}), Tensor::zeros({3, 3, 3, 4}), Tensor::zeros({1, 4}), {});
       }},
      {"conv2d", "an addend of another size",
       [] {
         return conv2d(Tensor::zeros({2, 4, 4, 3}), Tensor::zeros({3, 3, 3, 4}), {}, Tensor::zeros({2, 4, 4, 4}), {});
       }},
      {"conv2d", "a bias twice",
       [] {
         return conv2d(Tensor::zeros({2, 4, 4, 3}), Tensor::zeros({3, 3, 3, 4}), Tensor::zeros({4}), Tensor::zeros({4}),
                       {});
       }},
      {"conv2d", "nothing",
       [] {
         return conv2d(Tensor(), Tensor::zeros({3, 3, 3, 4}));
       }},
  };
  return file;
}

}  // namespace costate
