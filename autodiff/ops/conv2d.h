// Two-dimensional convolution and its two gradients: three bilinear ops, closed under differentiation.
#pragma once

#include "autodiff/ops/linear.h"
#include "core/kernels/conv2d.h"
#include "core/tensor.h"

namespace costate {

/// x (n,h,w,cin), w (kh,kw,cin/groups,cout) -> (n,oh,ow,cout). See ConvGeometry for strides, padding, dilation and groups.
[[nodiscard]] Tensor conv2d(const Tensor& x, const Tensor& w, const ConvGeometry& geometry = {});

/// The same plus a bias (cout), or a row an image (n,cout); undefined: none.
[[nodiscard]] Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry);

/// ... plus an addend of the result's shape; undefined: none.
[[nodiscard]] Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& addend,
                            const ConvGeometry& geometry);

/// ... whose addend is a linear layer's result: one product with it where a device can.
[[nodiscard]] Tensor conv2d_and_linear(const Tensor& x, const Tensor& w, const Tensor& bias, const LinearTerm& addend,
                                       const ConvGeometry& geometry);

/// The gradient in x of <g, conv2d(x, w)>; also known as transposed convolution. `x` is the shape of the result, and of an addend;
/// undefined: none.
[[nodiscard]] Tensor conv2d_dx(const Tensor& g, const Tensor& w, const Shape& x, const ConvGeometry& geometry = {},
                               const Tensor& addend = {});

/// The gradient in w of <g, conv2d(x, w)>. `w` is the shape of the result.
[[nodiscard]] Tensor conv2d_dw(const Tensor& x, const Tensor& g, const Shape& w, const ConvGeometry& geometry = {});

/// Geometry of a stride-1 convolution that keeps the size, for an odd kernel.
[[nodiscard]] ConvGeometry same_padding(std::int64_t kernel_h, std::int64_t kernel_w);

}  // namespace costate
