// Encoding and decoding: the sampling loop in either direction.
#include "solvers/encode.h"

#include <algorithm>

#include "autodiff/ops/scale.h"

namespace costate {
namespace {

State invert_steps(const Sampler& sampler, const Tensor& y_0, const Tensors& p, const Progress& progress) {
  State state = sampler.arrive(y_0, p);
  for (int i = sampler.steps() - 1; i >= 0; --i) {
    state = sampler.invert(i, state, p);
    report(progress, sampler.steps() - i, sampler.steps());
  }
  return state;
}

State solve_upwards(const Sampler& sampler, const Tensor& y_0, const Tensors& p, const Progress& progress) {
  Sampler up = sampler;
  std::reverse(up.grid.begin(), up.grid.end());
  std::reverse(up.targets.begin(), up.targets.end());
  State state{y_0, {}};
  for (int i = 0; i < up.steps(); ++i) {
    state = up.step(i, state, p);
    report(progress, i + 1, up.steps());
  }
  return {state.y, {}};
}

}  // namespace

State encode(const Sampler& sampler, const Tensor& x_0, const Tensors& p, const Progress& progress) {
  check_grid(sampler.grid, "encode by " + sampler.stepper.name, sampler.repeats);
  require(sampler.targets.empty() || !sampler.stepper.invert, "encode: steps of {}, which invert, end on the grid",
          sampler.stepper.name);
  const Tensor y_0 = scale(x_0, 1 / sampler.grid.back().scale());
  if (sampler.stepper.invert) return invert_steps(sampler, y_0, p, progress);
  require(can_encode(sampler.stepper),
          "encode: sampler {} draws noise; take a deterministic one, such as ddim or o-belm", sampler.stepper.name);
  return solve_upwards(sampler, y_0, p, progress);
}

Tensor decode(const Sampler& sampler, const State& start, const Tensors& p, const Progress& progress,
              const std::function<void(int, const Tensor&)>& each) {
  State state = start;
  if (each) each(0, sampler.x_at(0, state));
  for (int i = 0; i < sampler.steps(); ++i) {
    state = sampler.step(i, state, p);
    if (each) each(i + 1, sampler.x_at(i + 1, state));
    report(progress, i + 1, sampler.steps());
  }
  return sampler.x_at(sampler.steps(), state);
}

Tensor start_of(const Sampler& sampler, const State& start) { return sampler.x_at(0, start); }

}  // namespace costate
