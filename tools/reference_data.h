// Data to compare samples with, from IDX files, HDF5 files or folders of PNG pictures.
#pragma once

#include "tools/model/model.h"

namespace costate {

/// At most `most` rows (n, ...) of the model's sample shape, f64, in the model's range:
///   .h5        dataset x (n, ...), taken as it is
///   a folder   its .png files, by name; grey or colour as the model's samples
///   else       IDX images (n, h, w), also gzipped
/// Pictures come in the model's range. Throws where shapes do not fit.
Tensor read_reference_data(const std::string& file, const Model& model, std::int64_t most);

}  // namespace costate
