// Averaged weights that a checkpoint keeps as a list without names, as score_sde_pytorch does.
#pragma once

#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace costate {

/// Where `all` has tensors PREFIX.shadow_params.0, 1 ..., those of `chosen` are read from there: in order, each from the
/// next of the list if that has its shape, as the list leaves out what is not trained. Returns what was done, for the
/// user; nothing is changed unless the whole list is used up.
std::string use_shadow_params(const std::vector<CheckpointEntry>& all, std::vector<CheckpointEntry>& chosen);

}  // namespace costate
