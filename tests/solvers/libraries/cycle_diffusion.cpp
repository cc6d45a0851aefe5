// CycleDiffusion (ChenWu98/cycle-diffusion): x_0 to states and to the noise that leads DDIM(eta) through them, and back.
#include "autodiff/ops/concat.h"
#include "autodiff/ops/reshape.h"
#include "solvers/encode.h"
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

/// The library encodes down to its first level and leaves the step from there to the clean end, which draws nothing, out.
Replay replay(const FixtureCase& c) {
  Sampler sampler = sampler_of(c, "ddim", fmt::format(R"({{"eta": {}}})", c.settings.number("eta", 0)));
  auto states = states_to(sampler, c.read("x_0"), Way::posterior, c.noise());
  const Tensor noise = recover_noise(sampler, states, c.problem.p);
  states.pop_back();
  Tensors rows;
  for (const Tensor& x : states) rows.push_back(reshape(x, x.shape().with_front(1)));
  sampler.noise = recorded_noise(noise);
  Replay found = states_of(c, sampler);
  found.also["encoded"] = concat(rows, 0);
  found.also["recovered_noise"] = noise;
  return found;
}

}  // namespace

Library cycle_diffusion_library() { return {.files = "cycle-diffusion", .replay = replay}; }

}  // namespace costate
