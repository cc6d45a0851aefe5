// A linear layer: x W + b.
#pragma once

#include "autodiff/ops/matmul.h"
#include "nn/network.h"
#include "nn/parameter.h"

namespace costate {

struct Linear {
  Tensor weight;                   ///< (in, out)
  Tensor bias;                     ///< (out)
  Layout layout = Layout::linear;  ///< of the weight: `either` where some files hold a 1x1 convolution

  Linear() = default;
  Linear(std::int64_t in, std::int64_t out, Layout file = Layout::linear)
      : weight(parameter({in, out})), bias(parameter({out})), layout(file) {}

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight, self.layout);
    visit("bias", self.bias);
  }

  /// (..., in) -> (..., out)
  [[nodiscard]] Tensor operator()(const Tensor& x) const { return add_bias(matmul_weight(x, weight), bias); }
};

}  // namespace costate
