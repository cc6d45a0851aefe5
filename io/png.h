// PNG pictures: tensors out and in, and the grid they are shown in.
#pragma once

#include <filesystem>

#include "core/tensor.h"

namespace costate {

/// Writes an 8-bit picture, atomically. `image` is (h, w, c) with c = 1 (grey) or 3 (RGB), of f32, f64 or bf16 in [0,
/// 1]; what lies outside is clamped. Error for another shape or dtype, and for NaN, whose place it names.
void write_png(const std::filesystem::path& path, const Tensor& image);

/// (h, w, c) f64 in [0, 1], c = 1 for grey and 3 for colour. Palettes are resolved, 16-bit depth is kept, alpha is
/// dropped. Error for damaged files and for more than 2^28 pixels. (Gamma and colour profiles are ignored: values are
/// as stored.)
Tensor read_png(const std::filesystem::path& path);

/// One picture of many: images (n, h, w, c) row by row in `columns` columns, each pixel enlarged to scale x scale,
/// `gap` white pixels between and around them. Returns (H, W, c) f64. Any float dtype; columns, scale >= 1, gap >= 0.
Tensor tile(const Tensor& images, int columns, int gap = 2, int scale = 1);

}  // namespace costate
