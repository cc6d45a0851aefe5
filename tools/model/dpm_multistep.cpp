// algorithm_type, solver_order and solver_type as a sampler and its options.
#include "tools/model/dpm_multistep.h"

namespace costate::diffusers {

bool is_midpoint(const Config& c) {
  return choice(c, "solver_type", "midpoint", {"midpoint", "heun"}, {"logrho", "bh1", "bh2"}) == "midpoint";
}

void check_dpm_ends(const Config& c) {
  const std::string algorithm = c.text("algorithm_type", "dpmsolver++");
  if (algorithm != "dpmsolver" && algorithm != "sde-dpmsolver") return;
  if (c.text("final_sigmas_type", "zero") == "zero")
    fail("{}: final_sigmas_type = zero does not go with algorithm_type = {}; take sigma_min", c.where(), algorithm);
}

/// diffusers weighs the third value of order 3 as the papers' code does, by half, and of its SDE method with the wrong sign.
Method dpm_multistep(const Config& c, int steps, bool compat) {
  const std::string algorithm = choice(c, "algorithm_type", "dpmsolver++",
                                       {"dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver"}, {"deis"});
  const bool midpoint = is_midpoint(c);
  const int order = solver_order(c, 2);
  const char *kind = midpoint ? "midpoint" : "heun", *weights = midpoint ? "published" : "exact";
  nlohmann::json options = {{"lower_order_final", c.flag("lower_order_final", true) && steps < 15},
                            {"euler_at_final", c.flag("euler_at_final", false)}};
  const auto with = [&](const nlohmann::json& more) {
    options.update(more);
    return options;
  };
  if (algorithm == "sde-dpmsolver") {
    if (order == 3) c.unsupported("solver_order", "with algorithm_type = sde-dpmsolver: 1, 2");
    return order == 1 ? Method{"sde-dpm-1"} : Method{"sde-dpm-2m", with({{"kind", kind}})};
  }
  if (algorithm == "sde-dpmsolver++") {
    if (order == 1) return {"sde-dpmpp-1"};
    if (order == 2) return {"sde-dpmpp-2m", with({{"kind", kind}})};
    return {"sde-dpmpp-3m", with({{"second_step", kind}, {"weights", compat ? "diffusers" : "published"}})};
  }
  const char* form = algorithm == "dpmsolver" ? "noise" : "data";
  if (order == 1) return {"ddim"};
  if (order == 2) return {"dpmpp-2m", with({{"form", form}, {"weights", weights}})};
  return {"dpmpp-3m", with({{"form", form}, {"second_step", weights}, {"weights", compat ? "published" : "exact"}})};
}

}  // namespace costate::diffusers
