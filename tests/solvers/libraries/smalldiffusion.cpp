// smalldiffusion (yuanchenyang/smalldiffusion): gradient estimation with gamma and mu, alpha = 1, states in y.
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

Replay replay(const FixtureCase& c) {
  const std::string options =
      fmt::format(R"({{"gamma": {}, "mu": {}}})", c.settings.number("gam", 0), c.settings.number("mu", 0));
  return states_of(c, sampler_of(c, "ge", options));
}

}  // namespace

Library smalldiffusion_library() { return {.files = "smalldiffusion", .replay = replay}; }

}  // namespace costate
