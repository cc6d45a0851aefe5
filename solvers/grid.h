// Grids: the levels a sampler visits, noise first. A grid of N steps has N + 1 levels; the last one is not evaluated.
#pragma once

#include <string>
#include <vector>

#include "solvers/schedule.h"

namespace costate {

using Grid = std::vector<Level>;

/// Where a grid ends that has the choice: at sigma = 0 (diffusers' set_alpha_to_one), or at the schedule's first level.
enum class FinalLevel { zero, first };

/// Grid by name, from t_max to t_min. Options may follow the name, NAME:KEY=VALUE:KEY=VALUE ("karras:rho=5"):
///   t, lambda, s, quadratic       uniform in t, in lambda, in s, in sqrt t
///   karras                        uniform in s^(1/rho), rho = 7 (Karras et al. 2022, (5))
///   exponential                   uniform in lambda like `lambda`, with karras's end
///   polyexponential               uniform in (lambda_end - lambda)^(1/rho), rho = 1 (k-diffusion), with karras's end
///   leading, trailing, linspace   diffusers' timestep spacings, for discrete schedules only; leading has an offset
///   given                         t=[...] or s=[...], noise first; steps resamples the list, evenly in its index and
///                                 linearly in ln s (Align Your Steps)
/// and all of them final, zero or first, over `end`.
///
/// `end` has its say on discrete schedules and for those with karras's end: with `zero` the last step goes to {t_min, alpha 1, sigma 0}
/// and the levels evaluated span the whole range. All other grids end at t_min. `offset` is diffusers' steps_offset,
/// which `leading` alone uses.
/// Unknown names and options, those that do not fit the schedule, steps < 1 and more steps than a discrete schedule has throw.
Grid make_grid(const std::string& spec, const Schedule& schedule, int steps, FinalLevel end = FinalLevel::zero,
               int offset = 0);

/// A name that make_grid takes.
struct GridType {
  std::string name, summary;
  std::vector<std::string> options;
};
std::vector<GridType> grid_types();

/// Throws, naming `what`, unless there are two levels or more, all finite, alpha > 0 (0 at the first level
/// is pure noise), and s falls strictly (with `repeats`: does not rise).
void check_grid(const Grid& grid, const std::string& what, bool repeats = false);

}  // namespace costate
