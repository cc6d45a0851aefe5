// Flow matching's sigmas from 1 to 1 / T, shifted.
#include "tools/model/flow_scheduler.h"

namespace costate::diffusers {

namespace {

/// diffusers takes the ends of the equidistant list from a table that is shifted already, and shifts once more: the last
/// sigma is then shift^2 times too large or so.
Values sigmas_of(const Config& c, bool compat, int steps) {
  const double shift = c.number("shift", 1), low = 1.0 / train_steps(c);
  const bool dynamic = c.flag("use_dynamic_shifting", false);
  const double last = compat && !dynamic ? shifted(low, shift) : low;
  const double own = flow_shift(c, shift, {"exponential", "linear"});
  Values sigma;
  for (int i = 0; i < steps; ++i)
    sigma.push_back(shifted(steps > 1 ? 1 + static_cast<double>(i) / (steps - 1) * (last - 1) : 1, own));
  if (c.has("shift_terminal") && !c.is_null("shift_terminal") && c.number("shift_terminal", 0) != 0) {
    const double factor = (1 - sigma.back()) / (1 - c.number("shift_terminal", 0));
    for (double& s : sigma) s = 1 - (1 - s) / factor;
  }
  if (auto others = respaced(c, sigma.front(), sigma.back(), steps)) sigma = std::move(*others);
  return sigma;
}

}  // namespace

Scheduler flow_scheduler(const Config& c, bool compat, const Method& method) {
  Scheduler s;
  s.schedule = Config({{"type", "flow"}}, c.where());
  s.prediction = Prediction::flow;
  s.time_scale = train_steps(c);
  s.plan = [=](const Schedule&, int steps) {
    SchedulerPlan plan;
    for (const double sigma : sigmas_of(c, compat, steps)) plan.grid.push_back(flow_level(sigma));
    finish(plan, {0, 1, 0}, compat);
    take(plan, method, c);
    return plan;
  };
  return s;
}

}  // namespace costate::diffusers
