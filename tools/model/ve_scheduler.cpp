// Levels of diffusers' k-diffusion schedulers.
#include "tools/model/ve_scheduler.h"

#include <cmath>

namespace costate::diffusers {
namespace {

struct Levels {
  Values sigma, t;
  bool one_more = false;  ///< the list of sigmas has one more, the least of the table
};

Levels levels_of(const VeClass& of, const Config& c, const SigmaTable& table, int steps) {
  Levels levels;
  levels.t = timesteps(c, steps, {.otherwise = "linspace", .whole = false});
  for (const double t : levels.t) levels.sigma.push_back(table.at(t));
  if (c.choice("interpolation_type", "linear", {"linear", "log_linear"}) == "log_linear") {
    levels.sigma = exponential(table.last(), table.first(), steps + 1);
    levels.one_more = true;
  }
  if (auto others = respaced(c, levels.sigma.front(), levels.sigma.back(), steps)) {
    levels = {std::move(*others), {}};
    const bool whole = of.whole_karras_times && c.flag("use_karras_sigmas", false);
    for (const double s : levels.sigma) levels.t.push_back(whole ? std::nearbyint(table.t_of(s)) : table.t_of(s));
  }
  levels.sigma.resize(levels.t.size());
  return levels;
}

}  // namespace

Keys ve_keys() { return beta_keys + spacing_keys + sigma_keys + Keys{"prediction_type"}; }

Scheduler ve_scheduler(const VeClass& of, const Config& c, bool compat) {
  Scheduler s;
  s.schedule = Config(betas(c, "ddpm_ve", of.betas, true), c.where());
  s.prediction = prediction(c, of.predictions);
  s.unit_input = true;
  const bool told_log = c.choice("timestep_type", "discrete", {"discrete", "continuous"}) == "continuous" &&
                        s.prediction == Prediction::v;
  s.plan = [=](const Schedule& schedule, int steps) {
    const SigmaTable table(schedule);
    const Levels levels = levels_of(of, c, table, steps);
    SchedulerPlan plan;
    for (std::size_t i = 0; i < levels.sigma.size(); ++i)
      plan.grid.push_back({told_log ? std::log(levels.sigma[i]) / 4 : levels.t[i], 1, levels.sigma[i]});
    // The library has one sigma more than it takes steps under log_linear: it ends there, and counts it among the steps that share
    // s_churn.
    const bool ends_early = compat && levels.one_more;
    const bool to_zero = c.choice("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero" && !ends_early;
    finish(plan, {0, 1, to_zero ? 0 : table.first()}, compat);
    Method method = of.method(c, compat);
    if (ends_early && method.options.contains("S_churn"))
      method.options["S_churn"] = c.number("s_churn", 0) * steps / (steps + 1);
    take(plan, method, c);
    return plan;
  };
  return s;
}

}  // namespace costate::diffusers
