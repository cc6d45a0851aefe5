// Where sampling starts: x_T of a model, drawn or given.
#pragma once

#include "solvers/grid.h"
#include "tools/model/model.h"

namespace costate {

/// x_T (rows, ...) f64 of samples first ... first + rows - 1 by seed: the same bits for a sample whatever the batch.
Tensor draw_start(const Model& model, const Grid& grid, std::uint64_t seed, std::int64_t first, std::int64_t rows);

/// Throws, naming `where`, unless x_T is (n, ...) of the model's samples, n > 0.
void check_start(const Model& model, const Tensor& x_T, const std::string& where);

}  // namespace costate
