// SASolverScheduler: SA-Solver with noise between the indices 200 and 800.
#include "tools/model/vp_scheduler.h"

namespace costate {

SchedulerClass sasolver_scheduler() {
  using namespace diffusers;
  return {.name = "SASolver",
          .keys = vp_keys + Keys{"predictor_order", "corrector_order", "tau_func", "algorithm_type",
                                 "lower_order_final", "lambda_min_clipped", "variance_type"},
          .read = [](const Config& c, bool compat) {
            refuse_set(c, "tau_func", "supported: null (1 for indices 200 to 800, else 0)");
            const bool data = c.choice("algorithm_type", "data_prediction", {"data_prediction", "noise_prediction"}) ==
                              "data_prediction";
            // Levels of flow matching have t = sigma.
            const double unit = c.flag("use_flow_sigmas", false) ? train_steps(c) : 1;
            const nlohmann::json options = {{"form", data ? "data" : "noise"},
                                            {"predictor", c.integer("predictor_order", 2)},
                                            {"corrector", c.integer("corrector_order", 2)},
                                            {"t_from", 200 / unit},
                                            {"t_to", 800 / unit},
                                            {"lower_order_final", c.flag("lower_order_final", true)}};
            return vp_scheduler({.to_first_sigma = true, .ends_where_respaced = true}, c, compat, [=](int) {
              return Method{"sa", options};
            });
          }};
}

}  // namespace costate
