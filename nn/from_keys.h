// Layers of the sizes that the keys of a checkpoint say: how a family reads its structure where no configuration tells it.
#pragma once

#include <string>

#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/family.h"
#include "nn/group_norm.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/transposed_conv2d.h"

namespace costate {

/// The shape that lies under a key, of this rank; throws, naming the key, where it is missing or of another rank.
const Shape& shape_of(const KeyShapes& keys, const std::string& key, int rank);

/// Throws where the configuration has the option and says another number than the keys of the checkpoint.
void confirm(const Config& config, const std::string& option, std::int64_t in_keys);

/// The number of i = 0, 1, ... for which there are keys "PREFIX.i" or "PREFIX.i.(...)".
std::int64_t count_of(const KeyShapes& keys, const std::string& prefix);

/// The layers below a prefix. A bias is there if the file has one. A convolution whose geometry is not said keeps the size.
Linear linear_of(const KeyShapes& keys, const std::string& prefix);
Conv2d conv_of(const KeyShapes& keys, const std::string& prefix);
Conv2d conv_of(const KeyShapes& keys, const std::string& prefix, const ConvGeometry& geometry);
TransposedConv2d transposed_conv_of(const KeyShapes& keys, const std::string& prefix, const ConvGeometry& geometry);
LayerNorm layer_norm_of(const KeyShapes& keys, const std::string& prefix);
ImageNorm image_norm_of(const KeyShapes& keys, const std::string& prefix);
BatchNorm batch_norm_of(const KeyShapes& keys, const std::string& prefix);
GroupNorm group_norm_of(const KeyShapes& keys, const std::string& prefix, std::int64_t groups, double eps);

}  // namespace costate
