// Grids: uniform in some clock, diffusers' timestep spacings, and the check every sampler makes.
#include "solvers/grid.h"

#include <algorithm>
#include <cmath>

namespace costate {
namespace {

/// A clock in which levels are equidistant: its value at a level, and the t of a value.
struct Clock {
  const char* name;
  double (*of)(const Level& at);
  double (*to_t)(double value, const Schedule& schedule);
};

constexpr double rho = 7;  // of the Karras grid

constexpr Clock clocks[] = {
    {"t", [](const Level& at) { return at.t; }, [](double v, const Schedule&) { return v; }},
    {"lambda", [](const Level& at) { return at.lambda(); },
     [](double v, const Schedule& of) { return of.t_of_lambda(v); }},
    {"s", [](const Level& at) { return at.s(); },
     [](double v, const Schedule& of) { return of.t_of_lambda(-std::log(v)); }},
    {"quadratic", [](const Level& at) { return std::sqrt(at.t); }, [](double v, const Schedule&) { return v * v; }},
    {"exponential", [](const Level& at) { return at.lambda(); },
     [](double v, const Schedule& of) { return of.t_of_lambda(v); }},
    {"karras", [](const Level& at) { return std::pow(at.s(), 1 / rho); },
     [](double v, const Schedule& of) { return of.t_of_lambda(-rho * std::log(v)); }},
};

constexpr const char* spacings[] = {"leading", "trailing", "linspace"};

/// `count` levels from t_max to t_min.
Grid uniform(const Clock& clock, const Schedule& schedule, int count) {
  const Level noise = schedule.level(schedule.t_max), data = schedule.level(schedule.t_min);
  const double first = clock.of(noise), last = clock.of(data);
  require(std::isfinite(first) && std::isfinite(last),
          "grid {}: the schedule's range t = {} ... {} is infinite in this clock; move t_min up or t_max down",
          clock.name, data.t, noise.t);
  Grid grid{noise};
  for (int i = 1; i < count; ++i) {
    const double part = static_cast<double>(i) / (count - 1);
    grid.push_back(i == count - 1 ? data : schedule.level(clock.to_t(first + part * (last - first), schedule)));
  }
  return grid;
}

/// diffusers' timesteps, with numpy's arithmetic: np.round rounds halves to even, as std::nearbyint does.
std::vector<double> timesteps(const std::string& spacing, int total, int steps, int offset) {
  std::vector<double> t;
  const double ratio = static_cast<double>(total) / steps;
  for (int i = 0; i < steps; ++i) {
    if (spacing == "leading") {
      t.push_back((steps - 1 - i) * (total / steps) + offset);
    } else if (spacing == "trailing") {
      t.push_back(std::nearbyint(total + i * ((total - ratio) - total)) -
                  1);  // np.arange(T, 0, -T/N) steps by its first difference
    } else {
      t.push_back(std::nearbyint((steps - 1 - i) * (static_cast<double>(total - 1) / (steps - 1))));
    }
  }
  return t;
}

Grid spaced(const std::string& name, const Schedule& schedule, int steps, int offset) {
  require(schedule.steps() > 0,
          "grid {}: is for discrete schedules (ddpm); a continuous one takes t, lambda, s, quadratic or karras", name);
  require(name != "linspace" || steps > 1,
          "grid linspace: one step would start at the clean end, t = 0; take 2 or more, or trailing");
  Grid grid;
  for (const double t : timesteps(name, schedule.steps(), steps, offset)) {
    require(t >= 0 && t <= schedule.t_max,
            "grid {}: {} steps with offset {} would visit t = {} of {}; lower the offset or the steps", name, steps,
            offset, t, schedule.steps());
    grid.push_back(schedule.level(t));
  }
  return grid;
}

}  // namespace

std::vector<std::string> grid_names() {
  std::vector<std::string> names;
  for (const auto& clock : clocks) names.emplace_back(clock.name);
  names.insert(names.end(), std::begin(spacings), std::end(spacings));
  return names;
}

Grid make_grid(const std::string& name, const Schedule& schedule, int steps, FinalLevel end, int offset) {
  require(steps >= 1, "grid {}: {} steps; wants 1 or more", name, steps);
  require(schedule.steps() == 0 || steps <= schedule.steps(), "grid {}: {} steps of a schedule that has {}", name,
          steps, schedule.steps());
  const auto* const clock =
      std::find_if(std::begin(clocks), std::end(clocks), [&](const Clock& c) { return c.name == name; });
  const bool is_spacing = std::find(std::begin(spacings), std::end(spacings), name) != std::end(spacings);
  if (clock == std::end(clocks) && !is_spacing) fail_unknown("grid", name, grid_names());

  const bool to_zero = end == FinalLevel::zero && (schedule.steps() > 0 || name == "karras" || name == "exponential");
  Grid grid =
      is_spacing ? spaced(name, schedule, steps, offset) : uniform(*clock, schedule, to_zero ? steps : steps + 1);
  if (to_zero)
    grid.push_back({.t = schedule.t_min, .alpha = 1, .sigma = 0});
  else if (is_spacing)
    grid.push_back(schedule.level(schedule.t_min));
  check_grid(grid, "grid " + name);
  return grid;
}

void check_grid(const Grid& grid, const std::string& what) {
  require(grid.size() >= 2, "{}: {} levels; wants 2 or more", what, grid.size());
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const Level &at = grid[i], &before = grid[i == 0 ? 0 : i - 1];
    require(std::isfinite(at.t) && std::isfinite(at.alpha) && std::isfinite(at.sigma),
            "{}: level {} is not finite: t = {}, alpha = {}, sigma = {}", what, i, at.t, at.alpha, at.sigma);
    require(at.alpha > 0 || (i == 0 && at.alpha == 0 && at.sigma > 0),
            "{}: level {} (t = {}) has alpha = {}; only the first level may be pure noise", what, i, at.t, at.alpha);
    require(at.sigma >= 0, "{}: level {} (t = {}) has sigma = {}", what, i, at.t, at.sigma);
    require(i == 0 || at.s() < before.s(),
            "{}: sigma / alpha must fall, but goes from {} to {} between levels {} (t = {}) and {} (t = {})", what,
            before.s(), at.s(), i - 1, before.t, i, at.t);
  }
}

}  // namespace costate
