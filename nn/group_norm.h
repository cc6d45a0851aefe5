// A group norm layer on images (n, h, w, c).
#pragma once

#include "autodiff/ops/group_norm.h"
#include "nn/activation.h"
#include "nn/parameter.h"

namespace costate {

struct GroupNorm {
  Tensor weight, bias;  ///< (c)
  std::int64_t groups = 1;
  double eps = 1e-5;

  GroupNorm() = default;
  GroupNorm(std::int64_t channels, std::int64_t number, double epsilon)
      : weight(parameter({channels})), bias(parameter({channels})), groups(number), eps(epsilon) {
    require(number >= 1 && channels % number == 0, "group norm: {} channels do not divide into {} groups", channels,
            number);
  }

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const { return group_norm(x, weight, bias, groups, eps); }

  /// The activation of the normalised x; SiLU runs fused with the norm.
  [[nodiscard]] Tensor then(Activation activation, const Tensor& x) const {
    if (activation == Activation::silu) return group_norm(x, weight, bias, groups, eps, true);
    return activate(activation, (*this)(x));
  }
};

}  // namespace costate
