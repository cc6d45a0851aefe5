// Layer norms: of the last axis, and of whole images.
#pragma once

#include "autodiff/ops/group_norm.h"
#include "nn/network.h"
#include "nn/parameter.h"

namespace costate {

/// Mean 0 and variance 1 along the last axis, then a gain and an offset for each of its entries, where it has them.
struct LayerNorm {
  Tensor weight, bias;  ///< (c)
  double eps = 1e-5;

  LayerNorm() = default;
  explicit LayerNorm(std::int64_t channels, double epsilon = 1e-5)
      : weight(parameter({channels})), bias(parameter({channels})), eps(epsilon) {}

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }

  /// Without gain and offset.
  [[nodiscard]] static Tensor plain(const Tensor& x, double eps) {
    const Shape channels{x.dim(-1)};
    return layer_norm(x, Tensor::full(channels, 1, x.kind()), Tensor::zeros(channels, x.kind()), eps);
  }
  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    return weight.defined() ? layer_norm(x, weight, bias, eps) : plain(x, eps);
  }
};

/// Mean 0 and variance 1 over all pixels and channels of an image, then a gain and an offset for each of them: the
/// network works on images of one size only.
struct ImageNorm {
  Tensor weight, bias;  ///< (h, w, c)
  double eps = 1e-5;

  ImageNorm() = default;
  ImageNorm(std::int64_t h, std::int64_t w, std::int64_t c)
      : weight(parameter({h, w, c})), bias(parameter({h, w, c})) {}

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight, Layout::image);
    visit("bias", self.bias, Layout::image);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    require(x.rank() == 4 && x.shape() == weight.shape().with_front(x.dim(0)),
            "layer norm of images: wants x (n, ...) of {}, got {}", weight.shape(), x.shape());
    const Shape flat{weight.size()};
    return reshape(layer_norm(reshape(x, flat.with_front(x.dim(0))), reshape(weight, flat), reshape(bias, flat), eps),
                   x.shape());
  }
};

}  // namespace costate
