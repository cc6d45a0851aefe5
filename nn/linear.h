// A linear layer: x W + b.
#pragma once

#include "autodiff/ops/linear.h"
#include "autodiff/ops/linears.h"
#include "nn/network.h"
#include "nn/parameter.h"

namespace costate {

struct Linear {
  Tensor weight;                   ///< (in, out)
  Tensor bias;                     ///< (out)
  Layout layout = Layout::linear;  ///< of the weight: `either` where some files hold a 1x1 convolution
  const char* weight_key = "weight";
  const char* bias_key = "bias";

  Linear() = default;
  Linear(std::int64_t in, std::int64_t out, Layout file = Layout::linear)
      : weight(parameter({in, out})), bias(parameter({out})), layout(file) {}
  [[nodiscard]] static Linear without_bias(std::int64_t in, std::int64_t out, Layout file = Layout::linear) {
    Linear l(in, out, file);
    l.bias = Tensor();
    return l;
  }

  static void fields(auto& self, auto&& visit) {
    visit(self.weight_key, self.weight, self.layout);
    visit(self.bias_key, self.bias);
  }

  /// (..., in) -> (..., out), plus an addend of that shape, where there is one
  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& addend = {}) const {
    return linear(x, weight, bias, addend);
  }
  /// The same for a convolution to add.
  [[nodiscard]] LinearTerm term(const Tensor& x) const { return linear_term(x, weight, bias); }
};

/// What layers of one shape make of x: one product, where neighbours.h has put their weights behind each other.
[[nodiscard]] inline Tensors linears_of(const std::vector<const Linear*>& layers, const Tensor& x) {
  Tensors weights, biases;
  for (const Linear* l : layers) {
    weights.push_back(l->weight);
    if (l->bias.defined()) biases.push_back(l->bias);
  }
  return linears(x, weights, biases);
}

/// score_sde's 1x1 convolution: y = x W + b, stored as it is here.
[[nodiscard]] inline Linear nin_layer(std::int64_t in, std::int64_t out) {
  Linear l(in, out, Layout::plain);
  l.weight_key = "W";
  l.bias_key = "b";
  return l;
}

}  // namespace costate
