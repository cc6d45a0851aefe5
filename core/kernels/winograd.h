// Convolutions of 3x3 taps and stride 1 with fewer multiplications: Winograd's F(2,3) and F(4,3), in f32, or of bf16 images in fixed point (winograd_tiles.h)
// where the machine has AVX512_BF16.
#pragma once

#include "core/kernels/conv2d.h"

namespace costate {

/// out[i, j] = sum_{a, b} source[i + a - top, j + b - left] w(a, b), w being the taps as they are, or, for the data
/// gradient, turned by half a turn and transposed.
struct WinogradConv {
  int m;  ///< outputs a tile has along an axis: 2 or 4
  bool gradient;
  std::int64_t top, left;
};

/// Whether a convolution or its data gradient can be one: f32 or bf16, 3x3 taps, neither strides nor dilation nor groups.
inline bool can_be_winograd(const ConvGeometry& g, const Tensor& w) {
  return w.dtype() != DType::f64 && w.dim(0) == 3 && w.dim(1) == 3 && g.stride_h == 1 && g.stride_w == 1 &&
         g.dilation_h == 1 && g.dilation_w == 1 && g.groups == 1;
}

namespace cpu {

/// f32 or bf16, NHWC; w (3, 3, in, out); bias and addend as conv2d has them. Weights are transformed once and kept with their storage.
void winograd(const WinogradConv& conv, const Tensor& source, const Tensor& w, const Tensor& bias, const Tensor& addend,
              Tensor& out);

/// 4, 2, or 0 for the direct convolution: what fits outputs of this size, summed over `in` channels. It depends on one
/// image alone (and on conv_algorithm()), so the bits do not depend on the batch.
int winograd_outputs(std::int64_t height, std::int64_t width, std::int64_t in);

}  // namespace cpu
}  // namespace costate
