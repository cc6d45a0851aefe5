// Convolutions of real networks, for every side that is timed on them.
#pragma once

#include <cstdint>

namespace costate {

/// Square images of `size` pixels, padded so that stride 1 keeps the size.
struct ConvShape {
  const char* name;
  std::int64_t batch, in, out, size, kernel, stride;
  [[nodiscard]] std::int64_t pad() const { return kernel / 2; }
  [[nodiscard]] std::int64_t outputs() const { return (size + 2 * pad() - kernel) / stride + 1; }  ///< along an axis
  [[nodiscard]] std::int64_t flops() const { return 2 * batch * outputs() * outputs() * out * kernel * kernel * in; }
};

inline constexpr ConvShape conv_shapes[] = {
    {"128>128@32", 1, 128, 128, 32, 3, 1},    {"128>128@32x8", 8, 128, 128, 32, 3, 1},
    {"256>256@16", 1, 256, 256, 16, 3, 1},    {"512>256@16", 1, 512, 256, 16, 3, 1},
    {"256>256@8", 1, 256, 256, 8, 3, 1},      {"256>256@8x8", 8, 256, 256, 8, 3, 1},
    {"256>256@4", 1, 256, 256, 4, 3, 1},      {"256>256@4x8", 8, 256, 256, 4, 3, 1},
    {"32>32@28", 1, 32, 32, 28, 3, 1},        {"3>128@32", 1, 3, 128, 32, 3, 1},
    {"128>3@32", 1, 128, 3, 32, 3, 1},        {"128>128@32/2", 1, 128, 128, 32, 3, 2},
    {"256>256@16 1x1", 1, 256, 256, 16, 1, 1}};

}  // namespace costate
