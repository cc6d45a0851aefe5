// k-diffusion (crowsonkb/k-diffusion): alpha = 1, states in y.
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

Replay replay(const FixtureCase& c) {
  const std::string method = c.stem.substr(std::string("k-diffusion-").size());
  const bool noisy = c.settings.number("s_churn", 0) > 0 || c.settings.number("eta", 0) > 0;
  Sampler sampler;
  if (method == "dpm-adaptive") {
    sampler = sampler_of(c, fmt::format("dpm-adaptive-{}", c.settings.integer("order", 3)),
                         fmt::format(R"({{"pcoeff": {}, "icoeff": {}}})", c.settings.number("pcoeff", 0),
                                     c.settings.number("icoeff", 1)));
    sampler.schedule = schedule_of(R"({"type": "edm"})");
    return states_of_adaptive(c, sampler);
  }
  if (noisy) {
    return {.not_run = "noise"};
  } else if (method == "euler" || method == "heun" || method == "dpmpp-2m" || method == "dpm-2") {
    sampler = sampler_of(c, method);
  } else if (method == "lms") {
    sampler = sampler_of(c, fmt::format("lms-{}", c.settings.integer("order", 4)));
  } else if (method == "dpm-fast") {
    sampler = sampler_of(c, "dpm-3", fmt::format(R"({{"budget": {}}})", c.nfe));
  } else if (method == "dpmpp-2s-ancestral" && c.settings.number("eta", 1) == 0) {
    sampler = sampler_of(c, "dpmpp-2s");
  } else if (method == "dpmpp-2m-sde" && c.settings.number("eta", 1) == 0) {
    sampler = sampler_of(c, "dpmpp-2m");
  } else {
    return {.not_run = "no recipe yet"};
  }
  sampler.schedule = schedule_of(R"({"type": "edm"})");
  return states_of(c, sampler);
}

}  // namespace

Library k_diffusion_library() { return {.files = "k-diffusion-", .replay = replay}; }

}  // namespace costate
