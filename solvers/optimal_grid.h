// Analytic-DPM's optimal subsequence of timesteps.
#pragma once

#include <vector>

#include "solvers/grid.h"

namespace costate {

/// The path of `steps` timesteps of a discrete schedule, noise first, that is best for DDPM with optimal variances
/// (Bao et al. 2022, "Analytic-DPM", section 4): from the last timestep to the first, the sum over steps from t to s of
/// ln(1 - beta_(t|s) E |score_t|^2 / d) least, by dynamic programming in O(T^2 steps). `mean_square_eps[t]` is
/// E |eps|^2 / d = sigma_t^2 E |score_t|^2 / d; values above 1, which no data have, count as 1.
std::vector<int> optimal_subsequence(const Schedule& schedule, const std::vector<double>& mean_square_eps, int steps);
/// Its levels.
Grid optimal_grid(const Schedule& schedule, const std::vector<double>& mean_square_eps, int steps, FinalLevel end);

}  // namespace costate
