// What all layers share: parameters before weights are loaded, and the bias.
#pragma once

#include "autodiff/bias.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/reshape.h"

namespace costate {

/// A parameter of this shape without values: a network is built of these, Network::with puts tensors in their place.
[[nodiscard]] inline Tensor parameter(const Shape& shape) { return Tensor::ghost_of(shape, DType::f32); }

/// v (c) as (1, ..., 1, c), to meet a tensor of this rank along its last axis.
[[nodiscard]] inline Tensor along_last_axis(const Tensor& v, int rank) {
  return reshape(v, bias_shape(v.shape(), rank));
}

/// y (..., c) + bias (c); y itself for a layer without a bias.
[[nodiscard]] inline Tensor add_bias(const Tensor& y, const Tensor& bias) {
  return bias.defined() ? add(y, along_last_axis(bias, y.rank())) : y;
}

}  // namespace costate
