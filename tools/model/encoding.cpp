// There and back, and what has to be remembered for the way back.
#include "tools/model/encoding.h"

#include <algorithm>
#include <memory>
#include <set>
#include <tuple>

#include "autodiff/ops/concat.h"
#include "tools/model/evaluation.h"
#include "tools/model/inputs.h"

namespace costate {
namespace {

/// Passes noise on and keeps what passes, in the order in which recorded noise is read.
Noise recording(const Noise& noise, Tensors& draws) {
  const auto seen = std::make_shared<std::set<std::tuple<int, int, bool>>>();
  return [noise, seen, &draws](const Draw& draw, const Tensor& like) {
    const Tensor z = noise(draw, like);
    if (seen->emplace(draw.step, draw.part, draw.area).second) draws.push_back(z);
    return z;
  };
}

/// The sampler with a network that is told what the scheduler says of the way up.
Sampler upwards(const Course& course, Sampler sampler) {
  require(sampler.targets.empty(), "encode: this scheduler steps off its grid under compat; leave that out");
  if (course.told.empty()) return sampler;
  sampler.targets = course.reached;
  sampler.denoiser.net = [net = sampler.denoiser.net, grid = course.grid, told = course.told](
                             const Tensor& x, const Level& at, const Tensors& p) {
    const auto same = std::find_if(grid.begin(), grid.end(), [&](const Level& l) { return l.s() == at.s(); });
    require(same != grid.end(), "encode: the network is asked at t = {}, which is no level of the grid", at.t);
    return net(x, told[static_cast<std::size_t>(same - grid.begin())], p);
  };
  return sampler;
}

/// The state at the first level; the noise of a sampler that has no inverse becomes the sampler's.
State there(const Course& course, Sampler& sampler, const Tensor& x_0, const Tensors& p, Way way,
            const Progress& progress) {
  if (can_encode(sampler.stepper)) return encode(upwards(course, sampler), x_0, p, progress);
  const auto states = states_to(sampler, x_0, way, sampler.noise);
  sampler.noise = recorded_noise(recover_noise(sampler, states, p, progress));
  return sampler.start(states[0]);
}

}  // namespace

Way way_from(const std::string& name) {
  if (name != "posterior" && name != "independent")
    fail_unknown("way of making states", name, {"posterior", "independent"});
  return name == "posterior" ? Way::posterior : Way::independent;
}

Encoding encoding_of(const Course& course, Sampler sampler, const Tensor& x_0, const Tensors& p, Way way,
                     const Progress& progress) {
  Encoding found;
  std::int64_t evaluations = 0;
  count_evaluations(sampler.denoiser, evaluations);
  const State start = there(course, sampler, x_0, p, way, progress);
  found.evaluations = evaluations;
  Tensors draws;
  sampler.noise = recording(sampler.noise, draws);
  found.x_T = start_of(sampler, start);
  found.memory = stacked(start.memory);
  found.back = decode(sampler, start, p);
  found.noise = stacked(draws);
  return found;
}

Tensor z_found_in(const Model& model, const Tensor& x_0) {
  if (model.is_exact() || model.network->signature().z.rank() != 1) return {};
  const auto parts = model.network->parts();
  if (std::find(parts.begin(), parts.end(), "encode") == parts.end()) return {};
  Inputs in;
  in.x = as_taken(x_0, model);
  return (*model.network->part("encode"))(in);
}

Tensor as_samples(const Model& model, const std::optional<LatentSpace>& space, const Tensor& x) {
  require_finite(x, "encode, x");
  const Shape want = model.sample_shape();
  const Tensor samples = space && x.rank() >= 1 && x.dim(-1) != want[-1] ? space->encode(x) : x;
  require(samples.rank() == want.rank() + 1 && samples.dim(-1) == want[-1],
          "encode: x has shape {}; the model wants (n, ...) of {}", x.shape(), want);
  return samples;
}

}  // namespace costate
