// Descriptions of tensors for copies of boxes (gpu/ptx_sm90.h), in lines of 128 bytes.
#pragma once

#include <cuda.h>

#include <array>
#include <cstdint>

namespace costate::cuda {

enum class BoxType {
  bf16,
  tf32,  ///< f32 in memory, rounded as it is copied
};

/// Elements along four axes, the first along memory; from one to the next along axes 1 to 3, in elements, multiples of 16 bytes.
struct Extent4 {
  std::array<std::int64_t, 4> size;
  std::array<std::int64_t, 3> step;
};

/// Boxes of a line along memory by `lines` along axis 1.
CUtensorMap boxes_of(const char* op, BoxType type, const void* data, const Extent4& extent, int lines);

/// One axis of a picture under a convolution: its pixels, the taps' first place for the first output, how far places are apart, and how
/// many outputs there are.
struct Walk {
  int pixels, first, step, outputs;
};

/// `pixels` pixels by a line of channels of (image, row, column, channel), as convolutions go over them; `pixel` elements from one pixel to
/// the next.
CUtensorMap patches_of(const char* op, BoxType type, const void* data, int images, const Walk& rows,
                       const Walk& columns, int channels, int pixel, int pixels);

/// Whether a convolution that walks so can be described.
bool can_walk(const Walk& w);

}  // namespace costate::cuda
