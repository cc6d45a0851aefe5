// DPM-Solver (LuChengTHU/dpm-solver): singlestep, multistep and adaptive, noise and data form, states in x.
#include "autodiff/ops/scale.h"
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

/// Continuous VP-linear, or Stable Diffusion's betas with the library's time t = (index + 1) / 1000.
SchedulePtr schedule_of(const FixtureCase& c) {
  if (c.schedule.has("beta_0")) return vp_linear();
  return costate::schedule_of(
      R"({"type": "ddpm", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012})");
}

std::string quoted(const std::string& text) { return '"' + text + '"'; }

Replay replay(const FixtureCase& c) {
  const std::string method = c.settings.text("method", ""), skip = c.settings.text("skip_type", "");
  const auto order = c.settings.integer("order", 0), steps = c.settings.integer("steps", 0);
  const bool data = c.settings.text("algorithm_type", "") == "dpmsolver++";
  const std::string weights = quoted(c.settings.text("solver_type", "") == "taylor" ? "exact" : "published");
  const std::string form = quoted(data ? "data" : "noise");
  Sampler sampler;
  if (method == "adaptive") {
    sampler =
        sampler_of(c, fmt::format("dpm-adaptive-{}", order), R"({"controller": "original", "form": )" + form + "}");
    sampler.schedule = schedule_of(c);
    return states_of_adaptive(c, sampler);
  }
  if (method == "multistep" && order > 1) {
    std::string options = R"({"form": )" + form + R"(, "weights": )" + (order == 3 ? quoted("published") : weights);
    if (order == 3) options += R"(, "second_step": )" + weights;
    options += fmt::format(R"(, "lower_order_final": {})", steps < 10);  // as DPM_Solver.sample decides
    sampler = sampler_of(c, order == 3 ? "dpmpp-3m" : "dpmpp-2m", options + "}");
  } else if (method == "multistep" || order == 1) {
    sampler = sampler_of(c, "ddim");
  } else {
    std::string options = R"({"weights": )" + weights;
    if (skip != "logSNR") options += R"(, "inner": "t")";
    if (method == "singlestep") options += R"(, "budget": )" + std::to_string(steps);
    sampler = sampler_of(c, data ? fmt::format("dpmpp-{}s", order) : fmt::format("dpm-{}", order), options + "}");
  }
  sampler.schedule = schedule_of(c);
  for (Level& at : sampler.grid)  // the library's time to ours
    if (sampler.schedule->steps() > 0) at.t = at.t * 1000 - 1;
  // The last step to sigma = 0 of denoise_to_zero is no part of the grid that lower_order_final counts on.
  const bool clean = c.settings.flag("denoise_to_zero", false);
  if (clean) sampler.grid.pop_back();
  Replay replay = states_of(c, sampler);
  if (!clean) return replay;
  const Level& last = sampler.grid.back();
  replay.x.push_back(c.denoiser.both(scale(replay.x.back(), 1 / last.scale()), last, c.problem.p).x_0);
  return replay;
}

}  // namespace

Library dpm_solver_library() { return {.files = "dpm-solver-", .replay = replay}; }

}  // namespace costate
