// Levels of diffusers' solvers in x.
#include "tools/model/vp_scheduler.h"

#include <algorithm>
#include <cmath>

namespace costate::diffusers {

int last_index(const Config& c, const Schedule& schedule) {
  const double least = c.number("lambda_min_clipped", -INFINITY);
  int last = schedule.steps();
  while (last > 1 && schedule.lambda(last - 1) < least) --last;
  return last;
}

namespace {

/// Flow matching's sigmas, with the shift that configurations of image models ask for.
Values flow_sigmas(const VpClass& of, const Config& c, int steps) {
  const double shift =
      flow_shift(c, c.number("flow_shift", 1), of.unipc_flow ? Keys{"exponential", "linear"} : Keys{"exponential"});
  const int total = train_steps(c);
  Values sigma;
  for (int i = 0; i < steps; ++i) {
    // From 1 to 1 / T in UniPC; elsewhere from 1 - 1 / T, reversed from a list that begins with 0.
    const double low = 1.0 / total, stride = (low - 1) / steps;
    sigma.push_back(shifted(of.unipc_flow ? i * stride + 1 : i == 0 ? 1 - low : 1 - ((steps - i) * stride + 1), shift));
  }
  if (of.unipc_flow && c.has("shift_terminal") && !c.is_null("shift_terminal")) {
    const double factor = (1 - sigma.back()) / (1 - c.number("shift_terminal", 0));
    for (double& s : sigma) s = 1 - (1 - s) / factor;
  }
  if (of.unipc_flow && std::abs(sigma[0] - 1) < 1e-6) sigma[0] -= 1e-6;
  return sigma;
}

Grid flow_levels(const VpClass& of, const Config& c, const SigmaTable& table, int steps) {
  Values sigma = flow_sigmas(of, c, steps);
  if (c.flag("use_karras_sigmas", false) && of.unipc_flow) {
    sigma = *respaced(c, table.last(), table.first(), steps);
    for (double& s : sigma) s /= s + 1;
  } else {
    for (const auto& key : sigma_keys) refuse_set(c, key, "with use_flow_sigmas = true: false");
  }
  Grid grid;
  for (const double s : sigma) grid.push_back(flow_level(s));
  return grid;
}

Grid levels(const Config& c, const Schedule& schedule, const SigmaTable& table, int steps) {
  const auto t = timesteps(c, steps, {.otherwise = "linspace", .one_more = true, .last = last_index(c, schedule)});
  Grid grid;
  if (const auto sigma = respaced(c, table.last(), table.first(), steps)) {
    const bool whole = c.flag("use_karras_sigmas", false) || c.flag("use_lu_lambdas", false);
    for (const double s : *sigma) grid.push_back(vp_level(whole ? std::nearbyint(table.t_of(s)) : table.t_of(s), s));
  } else {
    for (const double at : t) grid.push_back(schedule.level(at));
  }
  return grid;
}

}  // namespace

Scheduler vp_scheduler(const VpClass& of, const Config& c, bool compat, std::function<Method(int steps)> method) {
  Scheduler s;
  const bool flow = c.flag("use_flow_sigmas", false);
  const nlohmann::json table = betas(c, "ddpm", {}, true);
  s.schedule = Config(flow ? nlohmann::json{{"type", "flow"}} : table, c.where());
  s.prediction = prediction(c, {"epsilon", "sample", "v_prediction", "flow_prediction"});
  if (flow && s.prediction == Prediction::v)
    c.unsupported("prediction_type", "with use_flow_sigmas = true: flow_prediction");
  if (!flow && s.prediction == Prediction::flow)
    c.unsupported("prediction_type", "flow_prediction wants use_flow_sigmas = true");
  if (!flow) refuse_set(c, "shift_terminal", "supported with use_flow_sigmas = true only");
  if (flow) s.time_scale = train_steps(c);
  s.correct = correction(c, false);
  const bool to_zero = !of.to_first_sigma && c.choice("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
  s.plan = [=, scale = s.time_scale](const Schedule& schedule, int steps) {
    const auto discrete = schedule_from(Config(table, c.where()));
    const SigmaTable sigmas(*discrete);
    SchedulerPlan plan;
    plan.grid = flow ? flow_levels(of, c, sigmas, steps) : levels(c, schedule, sigmas, steps);
    Level end = to_zero ? Level{0, 1, 0} : flow ? flow_level(sigmas.first()) : discrete->level(0);
    // The library tells the network whole indices.
    if (compat)
      for (Level& level : plan.grid) level.t = std::floor(level.t * scale) / scale;
    const bool on_table = !flow && !respaced(c, sigmas.last(), sigmas.first(), steps);
    if (!to_zero && of.ends_where_respaced && !on_table) end = plan.grid.back();
    finish(plan, end, compat);
    take(plan, method(static_cast<int>(plan.grid.size()) - 1), c);
    return plan;
  };
  return s;
}

}  // namespace costate::diffusers
