// k-diffusion (crowsonkb/k-diffusion): alpha = 1, states in y.
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

Replay replay(const FixtureCase& c) {
  const std::string method = c.stem.substr(std::string("k-diffusion-").size());
  const bool churned = c.settings.number("s_churn", 0) > 0;
  if (!churned && (method == "euler" || method == "heun" || method == "dpmpp-2m"))
    return states_of(c, sampler_of(c, method));
  return {.not_run = "no recipe yet"};
}

}  // namespace

Library k_diffusion_library() { return {.files = "k-diffusion-", .replay = replay}; }

}  // namespace costate
