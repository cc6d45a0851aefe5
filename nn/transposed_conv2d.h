// A transposed convolution layer on images (n, h, w, c): the data gradient of a convolution, upwards.
#pragma once

#include "autodiff/ops/conv2d.h"
#include "nn/network.h"
#include "nn/parameter.h"

namespace costate {

struct TransposedConv2d {
  /// (kh, kw, out, in), as the convolution it transposes; files have (in, out, kh, kw), which is that one's layout.
  Tensor weight;
  Tensor bias;  ///< (out), undefined where the layer has none
  ConvGeometry geometry;

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight, Layout::conv);
    visit("bias", self.bias);
  }

  /// To the smallest image whose convolution is as large as x.
  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    const std::int64_t h = (x.dim(1) - 1) * geometry.stride_h + weight.dim(0) - geometry.top - geometry.bottom;
    const std::int64_t w = (x.dim(2) - 1) * geometry.stride_w + weight.dim(1) - geometry.left - geometry.right;
    return add_bias(conv2d_dx(x, weight, {x.dim(0), h, w, weight.dim(2)}, geometry), bias);
  }
};

}  // namespace costate
