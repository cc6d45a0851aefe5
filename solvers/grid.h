// Grids: the levels a sampler visits, noise first. A grid of N steps has N + 1 levels; the last one is not evaluated.
#pragma once

#include <string>
#include <vector>

#include "solvers/schedule.h"

namespace costate {

using Grid = std::vector<Level>;

/// How a discrete schedule's grid ends: at sigma = 0, or at the schedule's first level.
enum class FinalLevel { zero, first };

/// Grid by name:
///   continuous schedules   t (uniform in t), lambda, s, quadratic (uniform in sqrt t), karras (rho 7)
///   discrete schedules     the same, and leading, trailing, linspace: diffusers' timestep spacings
/// Names that do not fit, steps < 1 and more steps than a discrete schedule has throw.
Grid make_grid(const std::string& name, const Schedule& schedule, int steps, FinalLevel end = FinalLevel::zero, int offset = 0);
std::vector<std::string> grid_names();

/// Throws, naming `what`, unless there are two levels or more, all finite, alpha > 0, and s falls strictly.
void check_grid(const Grid& grid, const std::string& what);

}  // namespace costate
