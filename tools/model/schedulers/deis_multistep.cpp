// DEISMultistepScheduler: DEIS with polynomials in ln sigma.
#include "tools/model/vp_scheduler.h"

namespace costate {

SchedulerClass deis_multistep_scheduler() {
  using namespace diffusers;
  return {.name = "DEISMultistep",
          .keys = vp_keys + Keys{"solver_order", "algorithm_type", "solver_type", "lower_order_final"},
          .arguments = {"mu"},
          .read = [](const Config& c, bool compat) {
            choice(c, "algorithm_type", "deis", {"deis"}, {"dpmsolver", "dpmsolver++"});
            choice(c, "solver_type", "logrho", {"logrho"}, {"midpoint", "heun", "bh1", "bh2"});
            const int order = solver_order(c, 2);
            return vp_scheduler({.to_first_sigma = true, .ends_where_respaced = true}, c, compat, [=](int steps) {
              if (order == 1) return Method{"ddim"};
              return Method{"deis",
                            {{"order", order - 1},
                             {"polynomial", "lambda"},
                             {"lower_order_final", c.flag("lower_order_final", true) && steps < 15}}};
            });
          }};
}

}  // namespace costate
