// IPNDMScheduler: PLMS on levels with sigma = sin^2, for networks that say v.
#include <cmath>
#include <numbers>

#include "tools/model/scheduler_parts.h"

namespace costate {
namespace {

using namespace diffusers;

/// diffusers divides 0 by an alpha of 0, kept from 0, in the first step, and so begins without x_0.
Scheduler read(const Config& c, bool compat) {
  refuse_set(c, "trained_betas", "supported: null");
  Scheduler s;
  s.schedule = Config({{"type", "vp_cosine"}}, c.where());
  s.prediction = Prediction::v;
  s.plan = [=](const Schedule&, int steps) {
    SchedulerPlan plan;
    for (int i = 0; i <= steps; ++i) {
      const double part = 1 - static_cast<double>(i) / steps;
      const double sigma = std::pow(std::sin(std::numbers::pi / 2 * part), 2);
      const double alpha = i == 0 ? 0 : std::sqrt((1 - sigma) * (1 + sigma));
      plan.grid.push_back({std::atan2(sigma, alpha) * 2 / std::numbers::pi, alpha, sigma});
    }
    take(plan, {"plms", {{"pure_noise", compat ? "diffusers" : "limit"}}}, c);
    return plan;
  };
  return s;
}

}  // namespace

SchedulerClass ipndm_scheduler() {
  return {.name = "IPNDM", .keys = {"num_train_timesteps", "trained_betas"}, .read = read};
}

}  // namespace costate
