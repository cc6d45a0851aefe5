// IDX files, as MNIST and Fashion-MNIST come: bytes with a shape, plain or gzipped.
#pragma once

#include <filesystem>

#include "core/tensor.h"

namespace costate {

/// The values 0 ... 255 of an IDX file of unsigned bytes, f32 in its shape. Error for another kind, for a file that is cut
/// short and for more than 2^30 values.
Tensor read_idx(const std::filesystem::path& path);

}  // namespace costate
