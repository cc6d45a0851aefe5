// k-diffusion (crowsonkb/k-diffusion): alpha = 1, states in y.
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

/// The stochastic samplers, whose eta is 1 where none is given.
Sampler stochastic(const FixtureCase& c, const std::string& method) {
  const std::string eta = fmt::format(R"({{"eta": {})", c.settings.number("eta", 1));
  if (method == "dpmpp-sde")
    return sampler_of(c, "sde-dpmpp-2s", eta + fmt::format(R"(, "r": {}}})", c.settings.number("r", 0.5)));
  if (method == "dpmpp-2m-sde")
    return sampler_of(c, "sde-dpmpp-2m",
                      eta + fmt::format(R"(, "kind": "{}"}})", c.settings.text("solver_type", "midpoint")));
  return sampler_of(c, method == "dpmpp-3m-sde" ? "sde-dpmpp-3m" : method, eta + "}");
}

Sampler churned(const FixtureCase& c, const std::string& method) {
  const std::string kind = method == "dpm-2" ? "midpoint" : method;
  Sampler sampler =
      sampler_of(c, "edm",
                 fmt::format(R"({{"S_churn": {}, "S_min": {}, "S_max": {}, "S_noise": {}, "kind": "{}"}})",
                             c.settings.number("s_churn", 0), c.settings.number("s_tmin", 0),
                             c.settings.number("s_tmax", 1e9), c.settings.number("s_noise", 1), kind));
  if (c.read("noise").dim(0) == sampler.steps()) sampler.noise = noise_by_step(c);
  return sampler;
}

Replay replay(const FixtureCase& c) {
  const std::string method = c.stem.substr(std::string("k-diffusion-").size());
  Sampler sampler;
  const std::string sigmas = c.settings.text("sigmas", "");
  if (sigmas == "karras" || sigmas == "exponential") {
    const auto edm = schedule_of(fmt::format(R"({{"type": "edm", "sigma_min": {}, "sigma_max": {}}})",
                                             c.schedule.number("sigma_min", 0), c.schedule.number("sigma_max", 0)));
    const Grid ours = make_grid(sigmas, *edm, static_cast<int>(c.settings.integer("steps", 0)));
    BOOST_REQUIRE(ours.size() == c.grid.size());
    for (std::size_t k = 0; k < ours.size(); ++k)
      BOOST_TEST(std::abs(ours[k].s() - c.grid[k].s()) <= 1e-12 * c.grid[k].s());
  }
  if (method == "dpm-adaptive") {
    sampler = sampler_of(c, fmt::format("dpm-adaptive-{}", c.settings.integer("order", 3)),
                         fmt::format(R"({{"pcoeff": {}, "icoeff": {}}})", c.settings.number("pcoeff", 0),
                                     c.settings.number("icoeff", 1)));
    sampler.schedule = schedule_of(R"({"type": "edm"})");
    return states_of_adaptive(c, sampler);
  }
  if (c.settings.number("s_churn", 0) > 0) {
    sampler = churned(c, method);
  } else if (method == "euler" || method == "heun" || method == "dpmpp-2m" || method == "dpm-2") {
    sampler = sampler_of(c, method);
  } else if (method == "lms") {
    sampler = sampler_of(c, fmt::format("lms-{}", c.settings.integer("order", 4)));
  } else if (method == "dpm-fast") {
    sampler = sampler_of(c, "dpm-3", fmt::format(R"({{"budget": {}, "eta": {}}})", c.nfe, c.settings.number("eta", 0)));
  } else {
    sampler = stochastic(c, method);
  }
  sampler.schedule = schedule_of(R"({"type": "edm"})");
  return states_of(c, sampler);
}

}  // namespace

Library k_diffusion_library() { return {.files = "k-diffusion-", .replay = replay}; }

}  // namespace costate
