// Schedules: the difference formulas of the base class, and finding a schedule by its configuration.
#include "solvers/schedule.h"

#include <algorithm>

namespace costate {
namespace {

/// Fourth-order central difference. The step is relative to t, because lambda is singular at t = 0.
template <class F>
double derivative(const F& of, double t) {
  const double h = 1e-3 * t;
  return (8 * (of(t + h) - of(t - h)) - (of(t + 2 * h) - of(t - 2 * h))) / (12 * h);
}

}  // namespace

double Schedule::f(double t) const {
  return derivative([this](double u) { return log_alpha(u); }, t);
}

double Schedule::g2(double t) const {
  const double sigma_t = sigma(t);
  return -2 * sigma_t * sigma_t * derivative([this](double u) { return lambda(u); }, t);
}

void Schedule::read_times(const Config& config, double t_min_if_absent, double t_max_if_absent) {
  t_min = config.number("t_min", t_min_if_absent);
  t_max = config.number("t_max", t_max_if_absent);
  require(t_min >= 0 && t_max > t_min, "{}: wants 0 <= t_min < t_max, got {} and {}", config.where(), t_min, t_max);
}

SchedulePtr schedule_from(const Config& config) {
  require(config.has("type"), "{}: a schedule needs a type, such as vp_linear, ddpm or edm", config.where());
  const std::string type = config.text("type", "");
  std::vector<std::string> names;
  for (const auto& candidate : schedules()) {
    names.push_back(candidate.name);
    if (candidate.name != type) continue;
    for (const auto& key : config.keys()) {
      const bool known =
          key == "type" || std::find(candidate.keys.begin(), candidate.keys.end(), key) != candidate.keys.end();
      if (!known) fail_unknown(type + " schedule parameter", key, candidate.keys);
    }
    return candidate.make(config);
  }
  fail_unknown("schedule", type, names);
}

}  // namespace costate
