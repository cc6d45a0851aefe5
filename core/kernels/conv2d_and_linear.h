// A convolution and a linear layer that are added: the end of a residual block whose shortcut changes the channels.
#pragma once

#include "core/kernels/conv2d.h"

namespace costate {

namespace cpu {
void conv2d_and_linear(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias,
                       const Tensor& side, const Tensor& side_w, const Tensor& side_bias, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::conv2d_and_linear) conv2d_and_linear;
}  // namespace cuda

/// y = conv2d(x, w) + bias + side side_w + side_bias: side (n,oh,ow,k), side_w (k,cout), side_bias (cout) or undefined; the others as
/// conv2d_kernel has them. Where both are one product (bf16 and TF32 on chips of 9.0) the sum is one chain, else the linear layer's result is
/// the convolution's addend.
inline constexpr Kernel<void(const ConvGeometry&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                             const Tensor&, const Tensor&, Tensor&)>
    conv2d_and_linear_kernel{"conv2d_and_linear", cpu::conv2d_and_linear, cuda::conv2d_and_linear};

/// One after the other, by the kernels of y's device.
void conv2d_after_linear(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias,
                         const Tensor& side, const Tensor& side_w, const Tensor& side_bias, Tensor& y);

}  // namespace costate
