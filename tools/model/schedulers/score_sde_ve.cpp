// ScoreSdeVeScheduler: predictor-corrector sampling of the exploding SDE.
#include <cmath>

#include "tools/model/scheduler_parts.h"

namespace costate {
namespace {

using namespace diffusers;

/// The network says the score and is told sigma. The step sizes of the library's corrector are of norms averaged over the
/// batch, and its predictor's levels are not those that the network is told.
Scheduler read(const Config& c, bool compat) {
  const double least = c.number("sigma_min", 0.01), most = c.number("sigma_max", 1348),
               eps = c.number("sampling_eps", 1e-5);
  Scheduler s;
  s.schedule = Config({{"type", "edm"}, {"sigma_min", least}, {"sigma_max", most}}, c.where());
  s.prediction = Prediction::score;
  const nlohmann::json options = {
      {"predictor", "reverse-diffusion"},     {"corrector", "langevin"},
      {"norms", compat ? "batch" : "sample"}, {"discretization", compat ? "score_sde" : "grid"},
      {"snr", c.number("snr", 0.15)},         {"times", c.integer("correct_steps", 1)}};
  s.plan = [=](const Schedule&, int steps) {
    SchedulerPlan plan;
    for (const double sigma : exponential(most, least * std::pow(most / least, eps), steps))
      plan.grid.push_back({sigma, 1, sigma});
    finish(plan, {0, 1, 0}, false);
    take(plan, {"pc", options}, c);
    return plan;
  };
  return s;
}

}  // namespace

SchedulerClass score_sde_ve_scheduler() {
  return {.name = "ScoreSdeVe",
          .keys = {"num_train_timesteps", "snr", "sigma_min", "sigma_max", "sampling_eps", "correct_steps"},
          .read = read};
}

}  // namespace costate
