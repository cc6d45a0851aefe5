// A convolution layer on images (n, h, w, c).
#pragma once

#include "autodiff/ops/conv2d.h"
#include "nn/network.h"
#include "nn/parameter.h"

namespace costate {

struct Conv2d {
  Tensor weight;  ///< (kh, kw, in, out)
  Tensor bias;    ///< (out), undefined where the layer has none
  ConvGeometry geometry;

  Conv2d() = default;
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, const ConvGeometry& how)
      : weight(parameter({kernel, kernel, in, out})), bias(parameter({out})), geometry(how) {}
  /// Stride 1, the size is kept.
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel)
      : Conv2d(in, out, kernel, same_padding(kernel, kernel)) {}

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight, Layout::conv);
    visit("bias", self.bias);
  }

  /// x (n, h, w, in), and what is added: a vector a sample, shift (n, out), and an image of the result's shape; either may be
  /// undefined.
  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& shift = {}, const Tensor& addend = {}) const {
    return conv2d(x, weight, shift.defined() ? add_bias(shift, bias) : bias, addend, geometry);
  }
  [[nodiscard]] Tensor and_linear(const Tensor& x, const LinearTerm& addend) const {
    return conv2d_and_linear(x, weight, bias, addend, geometry);
  }
};

}  // namespace costate
