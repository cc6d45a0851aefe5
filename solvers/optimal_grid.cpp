// The optimal subsequence, by dynamic programming.
#include "solvers/optimal_grid.h"

#include <algorithm>
#include <cmath>

namespace costate {
namespace {

using Costs = std::vector<std::vector<double>>;

/// [t][s], s < t: of the step from t to s.
Costs step_costs(const Schedule& schedule, const std::vector<double>& mean_square_eps) {
  const auto square = [&](std::size_t t) { return std::exp(2 * schedule.log_alpha(static_cast<double>(t))); };
  Costs costs(mean_square_eps.size());
  for (std::size_t t = 0; t < costs.size(); ++t) {
    const double g = mean_square_eps[t];
    require(std::isfinite(g) && g >= 0, "optimal subsequence: E |eps|^2 / d = {} at t = {} should be 0 or more", g, t);
    for (std::size_t s = 0; s < t; ++s)
      costs[t].push_back(std::log1p(-(1 - square(t) / square(s)) * std::min(1.0, g) / (1 - square(t))));
  }
  return costs;
}

}  // namespace

std::vector<int> optimal_subsequence(const Schedule& schedule, const std::vector<double>& mean_square_eps, int steps) {
  const int n = schedule.steps();
  require(n > 0 && static_cast<int>(mean_square_eps.size()) == n,
          "optimal subsequence: {} values of E |eps|^2 / d for a schedule of {} steps", mean_square_eps.size(), n);
  require(steps >= 1 && steps <= n, "optimal subsequence: {} steps of a schedule that has {}", steps, n);
  if (steps == 1) return {n - 1};
  // best[t]: least cost of a path of k levels from 0 to t; before[k][t]: the level below t on it.
  std::vector<double> best(static_cast<std::size_t>(n), INFINITY);
  best[0] = 0;
  std::vector<std::vector<int>> before(static_cast<std::size_t>(steps), std::vector<int>(best.size(), -1));
  const Costs costs = step_costs(schedule, mean_square_eps);
  for (std::size_t k = 1; k < before.size(); ++k) {
    std::vector<double> next(best.size(), INFINITY);
    for (std::size_t t = k; t < best.size(); ++t)
      for (std::size_t s = k - 1; s < t; ++s) {
        const double sum = best[s] + costs[t][s];
        if (sum < next[t]) next[t] = sum, before[k][t] = static_cast<int>(s);
      }
    best = next;
  }
  std::vector<int> path{n - 1};
  for (std::size_t k = before.size() - 1; k > 0; --k) path.push_back(before[k][static_cast<std::size_t>(path.back())]);
  return path;
}

Grid optimal_grid(const Schedule& schedule, const std::vector<double>& mean_square_eps, int steps, FinalLevel end) {
  Grid grid;
  const bool to_zero = end == FinalLevel::zero;
  for (const int t : optimal_subsequence(schedule, mean_square_eps, to_zero ? steps : steps + 1))
    grid.push_back(schedule.level(t));
  if (to_zero) grid.push_back({.t = schedule.t_min, .alpha = 1, .sigma = 0});
  check_grid(grid, "optimal subsequence");
  return grid;
}

}  // namespace costate
