// Layer norm of the last axis.
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
    return layer_norm(x, Tensor::full(channels, 1, x.dtype()), Tensor::zeros(channels, x.dtype()), eps);
  }
  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    return weight.defined() ? layer_norm(x, weight, bias, eps) : plain(x, eps);
  }
};

}  // namespace costate
