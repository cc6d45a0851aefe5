// What all layers share: parameters before weights are loaded, and the bias.
#pragma once

#include "autodiff/ops/add.h"
#include "autodiff/ops/reshape.h"

namespace costate {

/// A parameter of this shape without values: a network is built of these, Network::with puts tensors in their place.
[[nodiscard]] inline Tensor parameter(const Shape& shape) { return Tensor::empty(shape, DType::f32).ghost(); }

/// y (..., c) + bias (c); y itself for a layer without a bias.
[[nodiscard]] inline Tensor add_bias(const Tensor& y, const Tensor& bias) {
  if (!bias.defined()) return y;
  const std::vector<std::int64_t> ones(static_cast<std::size_t>(y.rank()), 1);
  return add(y, reshape(bias, Shape(ones).with(-1, bias.dim(0))));
}

}  // namespace costate
