// UniPCMultistepScheduler.
#include "tools/model/vp_scheduler.h"

namespace costate {
namespace {

using namespace diffusers;

/// diffusers shows the predictor's states and corrects them at the next call. In noise form it forgets its thresholding.
Scheduler read(const Config& c, bool compat) {
  refuse_set(c, "solver_p", "supported: null; no file holds the scheduler object that it stands for");
  const bool data = c.flag("predict_x0", true);
  const std::string variant = choice(c, "solver_type", "bh2", {"bh2", "bh1"}, {"midpoint", "heun", "logrho"});
  const int order = solver_order(c, 2);
  Scheduler s = vp_scheduler({.ends_where_respaced = true, .unipc_flow = true}, c, compat, [=](int steps) {
    return Method{"unipc",
                  {{"order", std::min(order, steps)},
                   {"form", data ? "data" : "noise"},
                   {"variant", variant},
                   {"corrector", "but_last"},
                   {"disable_corrector", c.integers("disable_corrector")},
                   {"lower_order_final", c.flag("lower_order_final", true)},
                   {"states", compat ? "predicted" : "corrected"}}};
  });
  if (compat && !data) s.correct = nullptr;
  return s;
}

}  // namespace

SchedulerClass unipc_multistep_scheduler() {
  return {.name = "UniPCMultistep",
          .keys = vp_keys + Keys{"solver_order", "predict_x0", "solver_type", "lower_order_final", "disable_corrector",
                                 "solver_p", "final_sigmas_type", "rescale_betas_zero_snr", "sigma_min", "sigma_max",
                                 "shift_terminal"},
          .arguments = {"mu"},
          .read = read};
}

}  // namespace costate
