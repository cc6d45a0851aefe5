// IPNDMScheduler: PLMS on levels with sigma = sin^2 or those of trained_betas, for networks that say v.
#include <cmath>
#include <numbers>

#include "tools/model/scheduler_parts.h"

namespace costate {
namespace {

using namespace diffusers;

/// trained_betas, which are the sigmas of all levels here, or sin^2 of equal steps.
Values sigmas_of(const Config& c, int steps) {
  Values sigma = c.numbers("trained_betas");
  if (!sigma.empty()) {
    require(static_cast<int>(sigma.size()) == steps + 1,
            "{}: trained_betas are the {} levels of {} steps here; ask for so many, not {}", c.where(), sigma.size(),
            static_cast<int>(sigma.size()) - 1, steps);
    for (const double each : sigma)
      if (!(each >= 0 && each <= 1)) c.unsupported("trained_betas", "numbers from 0 to 1");
    return sigma;
  }
  for (int i = 0; i <= steps; ++i)
    sigma.push_back(std::pow(std::sin(std::numbers::pi / 2 * (1 - static_cast<double>(i) / steps)), 2));
  return sigma;
}

/// diffusers divides 0 by an alpha of 0, kept from 0, in the first step, and so begins without x_0.
Scheduler read(const Config& c, bool compat) {
  Scheduler s;
  s.schedule = Config({{"type", "vp_cosine"}}, c.where());
  s.prediction = Prediction::v;
  s.plan = [=](const Schedule&, int steps) {
    SchedulerPlan plan;
    for (const double sigma : sigmas_of(c, steps)) {
      const double alpha = std::sqrt((1 - sigma) * (1 + sigma));
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
