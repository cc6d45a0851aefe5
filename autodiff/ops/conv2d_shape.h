// The shape rule of convolution, shared by conv2d and its two gradients.
#pragma once

#include "core/kernels/conv2d.h"

namespace costate {

/// Shape of conv2d's result; throws, naming `op`, when x and w do not fit each other or the geometry.
Shape conv2d_shape(const char* op, const ConvGeometry& g, const Shape& x, const Shape& w);

}  // namespace costate
