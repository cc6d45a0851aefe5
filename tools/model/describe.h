// What a model is, as a document: what `costate info` and the C interface say.
#pragma once

#include <nlohmann/json.hpp>

#include "tools/model/model.h"

namespace costate {

/// Family, file, parameters, operations, inputs, prediction, schedule. Shapes are enough: see LoadOptions::weights.
nlohmann::ordered_json describe(const Model& model);

}  // namespace costate
