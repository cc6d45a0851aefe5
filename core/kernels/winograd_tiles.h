// The two ends of a Winograd convolution: tiles of an image into the space of points, and back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kernels/micro.h"

namespace costate::cpu {

/// How F(m, 3) in two dimensions transforms images of T, float or bf16. n = m + 2 points an axis; points + 1 of the polynomial at infinity.
/// The numbers at a point, P, are floats, or i16 in fixed point: those of a tile's point, over all channels, share a scale (as have, in
/// the weights, those of a point and column), their norm / 32767. So a sum of products stays below 2^30, and what rounding adds to it is
/// 2^-17 of the two norms' product: an eighth of bf16's own rounding at 256 channels.
template <class T, class P>
struct WinogradTiles {
  /// pixels[n * n]: where the channels of each pixel of a tile start. Point p goes to out + p * step, `step` numbers apart, whose
  /// `channels` are rounded up to whole vectors (what lies behind the last channel is garbage). Fixed point: its scale to scales[p], by
  /// way of `room`, n * n * step floats.
  void (*input)(const T* const* pixels, std::int64_t channels, std::int64_t step, P* out, float* scales, float* room);
  /// Sums of products at points in + p * width, the bias, and the addend of each pixel where there are any, to the first `channels`
  /// of each of the m * m pixels; null ones are left out. Fixed point: times scales[p] and weight_scales[p * width + channel].
  void (*output)(const TileOut<P>* in, std::int64_t width, const float* scales, const float* weight_scales,
                 const T* bias, const T* const* addend, std::int64_t channels, T* const* pixels);
};

/// For this machine's instruction set; m is 2 or 4.
template <class T, class P>
WinogradTiles<T, P> winograd_tiles(int m);

inline constexpr float fixed_point_norm = 32767;  ///< of the numbers that share a scale

}  // namespace costate::cpu
