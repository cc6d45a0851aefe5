// Convolutions of 3x3 taps and stride 1 in plain f32 with fewer multiplications: the device's twin of core/kernels/winograd.h.
#pragma once

#include "core/kernels/winograd.h"

namespace costate::cuda {

/// Bytes of transformed tiles and their products that are made at a time, so that most of them stay in the second cache (50 MiB on an
/// H200, where this much took the least time: 5 to 15 % less than half of it, a third less than an eighth). No bit depends on it.
constexpr std::int64_t winograd_workspace = 64 << 20;

/// Terms of one chain of a point's product (gpu/pieces.h): short ones, so that the few tiles of one image have many blocks.
constexpr std::int64_t winograd_chain = 128;

/// f32 NHWC, channels in whole words of 16 bytes; w (3, 3, in, out); bias and addend as conv2d has them. Weights are transformed once for both directions
/// and kept with their storage.
void winograd(const WinogradConv& conv, const Tensor& source, const Tensor& w, const Tensor& bias, const Tensor& addend,
              Tensor& out, std::int64_t workspace = winograd_workspace);

/// 4, 2, or 0 for the direct convolution: what takes the least time for images of this size, summed over `in` channels to `columns`. It
/// depends on one image alone, so the bits do not depend on the batch.
int winograd_outputs(std::int64_t height, std::int64_t width, std::int64_t in, std::int64_t columns);

/// The same for a convolution or its data gradient in the ways that are chosen now (conv_algorithm, products_in_f32).
int winograd_outputs(const ConvGeometry& g, const Tensor& source, const Tensor& w, const Tensor& out);

}  // namespace costate::cuda
