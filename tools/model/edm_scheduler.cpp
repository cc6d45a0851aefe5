// EDM's levels: sigma by Karras' or an exponential schedule; the network is told ln(sigma) / 4.
#include "tools/model/edm_scheduler.h"

#include <cmath>

namespace costate::diffusers {

Scheduler edm_scheduler(const Config& c, bool compat, std::function<Method(int steps)> method) {
  const double least = c.number("sigma_min", 0.002), most = c.number("sigma_max", 80), rho = c.number("rho", 7);
  Scheduler s;
  s.schedule = Config({{"type", "edm"}, {"sigma_min", least}, {"sigma_max", most}}, c.where());
  s.prediction = prediction(c, {"epsilon", "v_prediction"}) == Prediction::v ? Prediction::edm_v : Prediction::edm;
  s.sigma_data = c.number("sigma_data", 0.5);
  const bool by_rho = c.choice("sigma_schedule", "karras", {"karras", "exponential"}) == "karras";
  const bool to_zero = c.choice("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
  s.plan = [=](const Schedule&, int steps) {
    SchedulerPlan plan;
    // The library's exponential schedule is made from the clean end, where one step leaves it.
    const double top = compat && steps == 1 ? least : most;
    for (const double sigma : by_rho ? karras(most, least, rho, steps) : exponential(top, least, steps))
      plan.grid.push_back({std::log(sigma) / 4, 1, sigma});
    // Its sigma_min is the last of the list, whatever that is.
    finish(plan, {0, 1, to_zero ? 0 : compat ? plan.grid.back().sigma : least}, compat);
    take(plan, method(steps), c);
    return plan;
  };
  return s;
}

}  // namespace costate::diffusers
