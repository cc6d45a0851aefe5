// Forward steps of the two discretisations.
#include "solvers/score_sde.h"

#include <algorithm>
#include <cmath>

namespace costate {
namespace {

double steps_of(const Step& step) { return static_cast<double>(step.grid.size()) - 1; }

ForwardStep between_levels(const Level& clean, const Level& noisy) {
  const double a = noisy.alpha, s = noisy.s(), before = clean.s();
  return {a / clean.alpha, a * a * (s - before) * (s + before), before / s};
}

ForwardStep as_in_score_sde(const Step& step) {
  const Level& at = step.from();
  const Schedule& schedule = step.scheduled();
  const double n = steps_of(step), T = schedule.t_max, f = schedule.f(at.t);
  if (f == 0) {  // exploding: sigmas geometric from end to end, whatever the schedule's clock
    const double low = schedule.sigma(schedule.t_min), part = std::log(schedule.sigma(T) / low) / std::max(n - 1, 1.0);
    const double i = std::floor(std::log(at.sigma / low) / part + 1e-9);  // up to rounding
    const double s = low * std::exp(part * i), before = i == 0 ? 0 : low * std::exp(part * (i - 1));
    return {1, (s - before) * (s + before), before / s};
  }
  if (std::abs(at.alpha * at.alpha + at.sigma * at.sigma - 1) > 1e-9) return {1 + f / n, schedule.g2(at.t) / n};
  const double i = std::floor(at.t * (n - 1) / T), beta = schedule.g2(T * i / (n - 1)) / n;
  require(beta < 1, "discretization score_sde: beta_{} = {} of {} steps; take more steps", i, beta, n);
  return {std::sqrt(1 - beta), beta};
}

}  // namespace

Discretization discretization_from(const Config& options) {
  return options.choice("discretization", "grid", {"grid", "score_sde"}) == "grid" ? Discretization::grid
                                                                                   : Discretization::score_sde;
}

ForwardStep forward_step(Discretization how, const Step& step) {
  return how == Discretization::grid ? between_levels(step.to(), step.from()) : as_in_score_sde(step);
}

double dt_of(Discretization how, const Step& step) {
  return how == Discretization::grid ? step.to().t - step.from().t : -step.scheduled().t_max / steps_of(step);
}

}  // namespace costate
