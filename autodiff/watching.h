// Which kind of derivative is being taken in a value, for what does its work differently for each.
#pragma once

#include "core/tensor.h"

namespace costate {

/// True if a recording carries a tangent of one of these forward.
bool carries_tangent(const Tensors& values);

}  // namespace costate
