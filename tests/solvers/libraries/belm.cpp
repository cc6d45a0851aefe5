// BELM (zituitui/BELM), which holds O-BELM, BDIA and EDICT: scaled-linear DDPM levels, states in x.
#include "autodiff/ops/concat.h"
#include "autodiff/ops/reshape.h"
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

/// EDICT's second copy at the start of every step, in x: (steps, n, d).
Tensor partners(const FixtureCase& c, const Sampler& sampler) {
  const auto states = trajectory(sampler, c.read("x_T"), c.problem.p);
  Tensors rows;
  for (std::size_t k = 0; k + 1 < states.size(); ++k) {
    const Tensor& y = states[k].memory.empty() ? states[k].y : states[k].memory[0];
    rows.push_back(reshape(y * sampler.grid[k].scale(), y.shape().with_front(1)));
  }
  return concat(rows, 0);
}

Replay replay(const FixtureCase& c) {
  if (c.stem == "belm-belm") return states_of(c, sampler_of(c, "o-belm"));
  if (c.stem == "belm-bdia")
    return states_of(c, sampler_of(c, "bdia", fmt::format(R"({{"gamma": {}}})", c.settings.number("gamma", 0))));
  const Sampler sampler = sampler_of(c, "edict", fmt::format(R"({{"p": {}}})", c.settings.number("p", 0)));
  Replay found = states_of(c, sampler);
  found.also["y"] = partners(c, sampler);
  return found;
}

}  // namespace

Library belm_library() { return {.files = "belm-", .replay = replay}; }

}  // namespace costate
