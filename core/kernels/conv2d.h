// Two-dimensional convolution (cross-correlation, as everywhere in machine learning) and its two gradients, NHWC.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

/// Strides, dilation of the taps, zeros around x, groups of channels.
struct ConvGeometry {
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t dilation_h = 1, dilation_w = 1;
  std::int64_t top = 0, bottom = 0, left = 0,
               right = 0;  ///< zero rows and columns added around x; may be negative (crop)
  std::int64_t groups = 1;

  bool operator==(const ConvGeometry&) const = default;
};

/// How convolutions and their data gradients are computed. Set for the whole process, before work starts: results differ in their
/// last bits.
enum class ConvAlgorithm {
  own,  ///< Winograd where it pays (see kernels/winograd.h), with 3 to 10 times the rounding error of f32, 1.0 to 1.5 times bf16's; f64 is always direct
  direct,  ///< one chain of multiply-adds an element; a device: one tree
  vendor,  ///< a device: its maker's library, where it has a way that gives the same bits each time; attention as well
  faster,  ///< a device: own or vendor, as it was measured: bits depend on that
};
ConvAlgorithm conv_algorithm(Device device = Device::cpu);  ///< starts as own
void set_conv_algorithm(ConvAlgorithm algorithm, Device device = Device::cpu);

namespace cpu {
void conv2d(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& addend,
            Tensor& y);
void conv2d_dx(const ConvGeometry& geometry, const Tensor& g, const Tensor& w, const Tensor& addend, Tensor& dx);
void conv2d_dw(const ConvGeometry& geometry, const Tensor& x, const Tensor& g, Tensor& dw);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::conv2d) conv2d;
[[gnu::weak]] decltype(cpu::conv2d_dx) conv2d_dx;
[[gnu::weak]] decltype(cpu::conv2d_dw) conv2d_dw;
}  // namespace cuda

/// y[n,i,j,co] = bias[co] + addend[n,i,j,co]
///               + sum_{a,b,ci} x[n, i*stride + a*dilation - top, j*stride + b*dilation - left, ci] w[a,b,ci,co]
/// x (n,h,w,cin): positions outside count as zero
/// w (kh,kw,cin/groups,cout): output channels [k*cout/groups, (k+1)*cout/groups) read input channels [k*cin/groups, (k+1)*cin/groups)
/// bias (cout), or a row an image (n,cout), or undefined
/// addend as y, or undefined
/// y (n,oh,ow,cout)
/// The callers (autodiff/ops/conv2d*) have checked shapes, dtypes (f32, f64 or, but for dw on the CPU, bf16) and allocated the output.
inline constexpr Kernel<void(const ConvGeometry&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, Tensor&)>
    conv2d_kernel{"conv2d", cpu::conv2d, cuda::conv2d};
/// addend (as dx), or undefined: added to the data gradient.
inline constexpr Kernel<void(const ConvGeometry&, const Tensor&, const Tensor&, const Tensor&, Tensor&)>
    conv2d_dx_kernel{"conv2d_dx", cpu::conv2d_dx, cuda::conv2d_dx};
inline constexpr Kernel<void(const ConvGeometry&, const Tensor&, const Tensor&, Tensor&)> conv2d_dw_kernel{
    "conv2d_dw", cpu::conv2d_dw, cuda::conv2d_dw};

}  // namespace costate
