// DPMSolverSinglestepScheduler: the stages of singlestep DPM-Solver are levels of the grid.
#include "tools/model/dpm_multistep.h"
#include "tools/model/vp_scheduler.h"

namespace costate {
namespace {

using namespace diffusers;

/// diffusers' order 3 of kind midpoint takes the second stage, too, with midpoint weights; that of kind heun, with noise, has
/// the sign of its last term wrong.
Method method(const Config& c, int steps, bool compat) {
  const std::string algorithm =
      choice(c, "algorithm_type", "dpmsolver++", {"dpmsolver++", "dpmsolver", "sde-dpmsolver++"}, {"deis"});
  const bool midpoint = is_midpoint(c),
             to_zero = c.choice("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
  const int order = solver_order(c, 2);
  return {"dpm-stages",
          {{"order", order},
           {"form", algorithm == "dpmsolver" ? "noise" : "data"},
           {"weights", midpoint ? "published" : "exact"},
           {"inner", compat && midpoint ? "published" : "exact"},
           {"third_term", compat ? "diffusers" : "exact"},
           {"lower_order_final", c.flag("lower_order_final", false) || to_zero || steps % order != 0},
           {"eta", algorithm == "sde-dpmsolver++" ? 1 : 0}}};
}

}  // namespace

SchedulerClass dpmsolver_singlestep_scheduler() {
  return {.name = "DPMSolverSinglestep",
          .keys = vp_keys_but_spacing + Keys{"solver_order", "algorithm_type", "solver_type", "lower_order_final",
                                             "final_sigmas_type", "lambda_min_clipped", "variance_type"},
          .arguments = {"mu"},
          .read = [](const Config& c, bool compat) {
            check_dpm_ends(c);
            return vp_scheduler({}, c, compat, [=](int steps) { return method(c, steps, compat); });
          }};
}

}  // namespace costate
