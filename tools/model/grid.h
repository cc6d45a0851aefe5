// The levels that a model is sampled at.
#pragma once

#include <string>

#include "solvers/grid.h"
#include "tools/model/model.h"

namespace costate {

/// Steps of a grid as they were asked for under a name, which messages begin with; throws unless a grid can have so many.
int step_count(const std::string& name, std::int64_t steps);

/// `asked`: a name of grids(), an .h5 file (read_grid), or empty for the model's own name.
Grid grid_of(const Model& model, int steps, const std::string& asked = "");

/// A grid file's levels: `grid` (k, 3) with columns t, alpha, sigma, or grid_t, grid_alpha, grid_sigma; or, of `ms_eps` (T),
/// E |eps|^2 / d at every index of the model's schedule, the best `steps` of them for DDPM (optimal_grid.h).
Grid read_grid(const std::string& file, const Model& model, int steps);

/// Is the grid that was asked for a file, and not a name?
bool is_grid_file(const std::string& asked);

}  // namespace costate
