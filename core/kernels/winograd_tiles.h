// The two ends of a Winograd convolution: tiles of an image into the space of points, and back.
#pragma once

#include <cstddef>
#include <cstdint>

namespace costate::cpu {

/// How F(m, 3) in two dimensions transforms. n = m + 2 points an axis; points + 1 of the polynomial at infinity.
struct WinogradTiles {
  /// pixels[n * n]: where the channels of each pixel of a tile start. Point p goes to out + p * step, `step` floats apart,
  /// whose `channels` are rounded up to whole vectors (what lies behind the last channel is garbage).
  void (*input)(const float* const* pixels, std::int64_t channels, std::int64_t step, float* out);
  /// Sums of products at points in + p * width, the bias, and the addend of each pixel where there are any, to the first `channels`
  /// of each of the m * m pixels; null ones are left out.
  void (*output)(const float* in, std::int64_t width, const float* bias, const float* const* addend,
                 std::int64_t channels, float* const* pixels);
};

/// For this machine's instruction set; m is 2 or 4.
WinogradTiles winograd_tiles(int m);

}  // namespace costate::cpu
