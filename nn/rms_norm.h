// Normalisation of each pixel's channels by their root mean square.
#pragma once

#include <cmath>
#include <vector>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/sqrt.h"
#include "autodiff/ops/sum.h"
#include "nn/parameter.h"

namespace costate {

/// x g sqrt(c) / max(|x|, 1e-12) along the last axis of x (..., c); g lies in files as (1, c, 1, 1).
struct RmsNorm {
  Tensor g;

  RmsNorm() = default;
  explicit RmsNorm(std::int64_t channels) : g(parameter({1, channels, 1, 1})) {}

  static void fields(auto& self, auto&& visit) { visit("g", self.g); }

  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    constexpr double least = 1e-24;  // of |x|^2: below it the norm is a constant, and has no slope
    const Tensor squares = sum_to(square(x), x.shape().with(-1, 1));
    std::vector<std::int64_t> channels(static_cast<std::size_t>(x.rank()), 1);
    channels.back() = x.dim(-1);
    const Tensor gain = scale(reshape(g, Shape(channels)), std::sqrt(static_cast<double>(x.dim(-1))));
    return x * reciprocal(sqrt(relu(squares - least) + least)) * gain;
  }
};

}  // namespace costate
