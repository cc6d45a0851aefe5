// Grids: uniform in some clock, diffusers' timestep spacings, given lists, and the check every sampler makes.
#include "solvers/grid.h"

#include <algorithm>
#include <cmath>

#include "core/spec.h"

namespace costate {
namespace {

/// What a clock may depend on besides the level: its exponent, and the lambda where the grid's clock ends.
struct Warp {
  double rho, lambda_end;
};

/// A clock in which levels are equidistant: its value at a level, and the t of a value.
struct Clock {
  const char *name, *summary;
  double rho;    ///< default of the option; 0: takes none
  bool has_end;  ///< FinalLevel has its say on continuous schedules, too
  double (*of)(const Level& at, const Warp& w);
  double (*to_t)(double value, const Warp& w, const Schedule& schedule);
};

double lambda_of(const Level& at, const Warp&) { return at.lambda(); }
double t_of(double lambda, const Warp&, const Schedule& of) { return of.t_of_lambda(lambda); }

constexpr Clock clocks[] = {
    {"t", "uniform in t", 0, false, [](const Level& at, const Warp&) { return at.t; },
     [](double v, const Warp&, const Schedule&) { return v; }},
    {"lambda", "uniform in lambda = ln(alpha / sigma)", 0, false, lambda_of, t_of},
    {"s", "uniform in s = sigma / alpha", 0, false, [](const Level& at, const Warp&) { return at.s(); },
     [](double v, const Warp&, const Schedule& of) { return of.t_of_lambda(-std::log(v)); }},
    {"quadratic", "uniform in sqrt t", 0, false, [](const Level& at, const Warp&) { return std::sqrt(at.t); },
     [](double v, const Warp&, const Schedule&) { return v * v; }},
    {"karras", "uniform in s^(1/rho), rho [7] (Karras et al. 2022, (5))", 7, true,
     [](const Level& at, const Warp& w) { return std::pow(at.s(), 1 / w.rho); },
     [](double v, const Warp& w, const Schedule& of) { return of.t_of_lambda(-w.rho * std::log(v)); }},
    {"exponential", "uniform in lambda, with the end of karras", 0, true, lambda_of, t_of},
    {"polyexponential", "uniform in (lambda_end - lambda)^(1/rho), rho [1] (k-diffusion)", 1, true,
     [](const Level& at, const Warp& w) { return std::pow(std::max(0.0, w.lambda_end - at.lambda()), 1 / w.rho); },
     [](double v, const Warp& w, const Schedule& of) { return of.t_of_lambda(w.lambda_end - std::pow(v, w.rho)); }},
};

constexpr const char* spacings[] = {"leading", "trailing", "linspace"};
constexpr const char* given_list = "given";

/// `count` levels from t_max to t_min.
Grid uniform(const Clock& clock, double rho, const Schedule& schedule, int count) {
  const Level noise = schedule.level(schedule.t_max), data = schedule.level(schedule.t_min);
  const Warp warp{rho, data.lambda()};
  const double first = clock.of(noise, warp), last = clock.of(data, warp);
  require(std::isfinite(first) && std::isfinite(last),
          "grid {}: the schedule's range t = {} ... {} is infinite in this clock; move t_min up or t_max down",
          clock.name, data.t, noise.t);
  Grid grid{noise};
  for (int i = 1; i < count; ++i) {
    const double part = static_cast<double>(i) / (count - 1);
    const double value = first + part * (last - first);
    grid.push_back(i == count - 1 ? data : schedule.level(clock.to_t(value, warp, schedule)));
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

Level level_of_s(const Schedule& schedule, double s) {
  return s == 0 ? Level{schedule.t_min, 1, 0} : schedule.level(schedule.t_of_lambda(-std::log(s)));
}

/// `count` levels evenly along the index of a list, ln s linear between its entries.
Grid resampled(const Schedule& schedule, const Grid& list, std::int64_t count) {
  require(count >= 2 && list.size() >= 2, "grid given: steps = {} of a list of {} levels; wants 2 or more", count,
          list.size());
  Grid grid;
  for (std::int64_t i = 0; i < count; ++i) {
    const double place = static_cast<double>(i) * static_cast<double>(list.size() - 1) / static_cast<double>(count - 1);
    const auto before = std::min(static_cast<std::size_t>(place), list.size() - 2);
    const double part = place - static_cast<double>(before);
    const Level &a = list[before], &b = list[before + 1];
    require(part == 0 || (std::isfinite(a.lambda()) && std::isfinite(b.lambda())),
            "grid given: steps = {} would lie between levels of which one has sigma = 0 or alpha = 0", count);
    grid.push_back(part == 0   ? a
                   : part == 1 ? b
                               : schedule.level(schedule.t_of_lambda(a.lambda() + part * (b.lambda() - a.lambda()))));
  }
  return grid;
}

Grid listed(const Schedule& schedule, const Config& options) {
  const auto t = options.numbers("t"), s = options.numbers("s");
  require(t.empty() != s.empty(), "grid given: wants one list, t=[...] or s=[...] (sigma / alpha), noise first");
  Grid grid;
  for (const double v : t) {
    require(v >= 0 && v <= schedule.t_max, "grid given: t = {} is outside the schedule's range, 0 ... {}", v,
            schedule.t_max);
    grid.push_back(schedule.level(v));
  }
  for (const double v : s) {
    require(v >= 0, "grid given: s = {} is negative", v);
    grid.push_back(level_of_s(schedule, v));
  }
  return options.has("steps") ? resampled(schedule, grid, options.integer("steps", 0)) : grid;
}

/// Which of the three kinds a name is of.
struct GridKind {
  const Clock* clock = nullptr;
  bool spacing = false, list = false;
};

GridKind kind_of(const std::string& name) {
  for (const auto& clock : clocks)
    if (clock.name == name) return {.clock = &clock};
  for (const auto& spacing : spacings)
    if (name == spacing) return {.spacing = true};
  if (name == given_list) return {.list = true};
  std::vector<std::string> names;
  for (const auto& grid : grid_types()) names.push_back(grid.name);
  fail_unknown("grid", name, names);
}

std::vector<std::string> options_of(const GridKind& kind, const std::string& name) {
  if (kind.list) return {"t", "s", "steps", "final"};
  if (name == "leading") return {"offset", "final"};
  return kind.clock != nullptr && kind.clock->rho > 0 ? std::vector<std::string>{"rho", "final"}
                                                      : std::vector<std::string>{"final"};
}

double rho_of(const Clock& clock, const Config& options) {
  const double rho = options.number("rho", clock.rho);
  require(clock.rho == 0 || (rho > 0 && std::isfinite(rho)), "grid {}: rho = {} should be positive", clock.name, rho);
  return rho;
}

}  // namespace

std::vector<GridType> grid_types() {
  std::vector<GridType> all;
  for (const auto& clock : clocks) all.push_back({clock.name, clock.summary, {}});
  for (const auto& spacing : spacings)
    all.push_back({spacing, "diffusers' timestep spacing, for discrete schedules", {}});
  all.push_back({given_list, "a list, t=[...] or s=[...], noise first; steps resamples it (Align Your Steps)", {}});
  for (auto& grid : all) grid.options = options_of(kind_of(grid.name), grid.name);
  return all;
}

Grid make_grid(const std::string& spec, const Schedule& schedule, int steps, FinalLevel end, int offset) {
  const auto [name, options] = parse_spec("grid", spec);
  require(steps >= 1, "grid {}: {} steps; wants 1 or more", name, steps);
  require(schedule.steps() == 0 || steps <= schedule.steps(), "grid {}: {} steps of a schedule that has {}", name,
          steps, schedule.steps());
  const GridKind kind = kind_of(name);
  check_options("grid " + name, options, options_of(kind, name));
  const bool has_end = schedule.steps() > 0 || (kind.clock != nullptr && kind.clock->has_end) || options.has("final");
  const std::string otherwise = end == FinalLevel::zero ? "zero" : "first";
  bool to_zero = has_end && options.choice("final", otherwise, {"zero", "first"}) == "zero";
  const auto own_offset = static_cast<int>(options.integer("offset", offset));
  Grid grid = kind.list ? listed(schedule, options)
              : kind.spacing
                  ? spaced(name, schedule, steps, own_offset)
                  : uniform(*kind.clock, rho_of(*kind.clock, options), schedule, to_zero ? steps : steps + 1);
  to_zero = to_zero && !(kind.list && !grid.empty() && grid.back().sigma == 0);
  if (to_zero)
    grid.push_back({.t = schedule.t_min, .alpha = 1, .sigma = 0});
  else if (kind.spacing)
    grid.push_back(schedule.level(schedule.t_min));
  check_grid(grid, "grid " + name);
  return grid;
}

void check_grid(const Grid& grid, const std::string& what, bool repeats) {
  require(grid.size() >= 2, "{}: {} levels; wants 2 or more", what, grid.size());
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const Level &at = grid[i], &before = grid[i == 0 ? 0 : i - 1];
    require(std::isfinite(at.t) && std::isfinite(at.alpha) && std::isfinite(at.sigma),
            "{}: level {} is not finite: t = {}, alpha = {}, sigma = {}", what, i, at.t, at.alpha, at.sigma);
    require(at.alpha > 0 || (i == 0 && at.alpha == 0 && at.sigma > 0),
            "{}: level {} (t = {}) has alpha = {}; only the first level may be pure noise", what, i, at.t, at.alpha);
    require(at.sigma >= 0, "{}: level {} (t = {}) has sigma = {}", what, i, at.t, at.sigma);
    require(i == 0 || at.s() < before.s() || (repeats && at.s() == before.s()),
            "{}: sigma / alpha must fall, but goes from {} to {} between levels {} (t = {}) and {} (t = {})", what,
            before.s(), at.s(), i - 1, before.t, i, at.t);
  }
}

}  // namespace costate
