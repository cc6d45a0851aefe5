// The sampling loop.
#include "solvers/sampler.h"

#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "autodiff/transform.h"
#include "solvers/norm.h"

namespace costate {
namespace {

/// With x_0 held over the step. See Stepper::fresh.
State leave_pure_noise(const Step& step, double fresh, const State& state) {
  const double s = step.to().s();
  const auto [x_0, eps] = step.denoiser.both(state.y, step.from(), step.p);
  const Tensor y = fresh < 1 ? lincomb(1, x_0, s * std::sqrt((1 - fresh) * (1 + fresh)), eps) : x_0;
  return {fresh > 0 ? lincomb(1, y, fresh * s, step.normal(y)) : y, {}};
}

/// The grid as step `index` sees it.
Grid with_target(Grid grid, const Grid& targets, int index) {
  grid[static_cast<std::size_t>(index) + 1] = targets[static_cast<std::size_t>(index)];
  return grid;
}

/// Upwards from sigma = 0, where not every network says what eps is.
State leave_clean_end(const Step& step, const State& state) {
  return {lincomb(1, state.y, step.to().s(), step.denoiser.eps(state.y, step.to(), step.p)), {}};
}

/// Upwards to pure noise, where the state is x / sigma.
State enter_pure_noise(const Step& step, const Level& from, const State& state) {
  return {step.denoiser.eps(state.y, from, step.p), {}};
}

}  // namespace

Step Sampler::at(int index, const Tensors& own, const Grid& levels) const {
  return {.denoiser = denoiser, .p = own, .grid = levels, .index = index, .noise = noise, .schedule = schedule.get()};
}

void Sampler::check(const State& found, const Step& step, const State& before, const char* direction,
                    LateCheck& late) const {
  late.look(found.y, [=, name = stepper.name, number = step.index + 1, steps = steps(), from = step.from().t,
                      to = step.to().t, shape = found.y.shape(), y = before.y](std::int64_t bad) {
    fail(
        "sampler {}: step {} of {}{} (t = {} to {}) gave a NaN or an infinity at element {} of {}; the norm of the "
        "state before it is {:.3e}. Take more and shorter steps, less guidance, or the network in f64",
        name, number, steps, direction, from, to, bad, shape, norm(y));
  });
}

State Sampler::step(int index, const State& state, const Tensors& p) const {
  LateCheck now;
  State next = step(index, state, p, now);
  now.finish();
  return next;
}

State Sampler::step(int index, const State& state, const Tensors& p, LateCheck& late) const {
  const Tensors own = parameters(index, p);
  const Grid moved = targets.empty() ? Grid() : with_target(grid, targets, index);
  const Step step = at(index, own, targets.empty() ? grid : moved);
  State next = step.from().alpha == 0 && !stepper.leaves_pure_noise ? leave_pure_noise(step, stepper.fresh, state)
               : step.from().sigma == 0                             ? leave_clean_end(step, state)
               : step.to().alpha == 0                               ? enter_pure_noise(step, step.from(), state)
                                                                    : stepper.advance(step, state);
  if (repeats && step.to().s() == step.from().s()) next.memory = state.memory;
  check(next, step, state, "", late);
  if (!targets.empty()) next.y = scale(next.y, step.to().scale() / grid[static_cast<std::size_t>(index) + 1].scale());
  return next;
}

State Sampler::invert(int index, const State& next, const Tensors& p) const {
  require(stepper.invert != nullptr, "sampler {}: its steps have no exact inverse; o-belm, bdia, edict and rex have",
          stepper.name);
  const Tensors own = parameters(index, p);
  const Step step = at(index, own, grid);
  State before = step.from().alpha == 0 ? enter_pure_noise(step, step.to(), next) : stepper.invert(step, next);
  LateCheck now;
  check(before, step, next, ", inverted,", now);
  now.finish();
  return before;
}

State Sampler::arrive(const Tensor& y, const Tensors& p) const {
  require(stepper.arrive != nullptr, "sampler {}: its steps have no exact inverse; o-belm, bdia, edict and rex have",
          stepper.name);
  const Tensors own = parameters(steps() - 1, p);
  return stepper.arrive(at(steps() - 1, own, grid), y);
}

State Sampler::start(const Tensor& x_T) const { return {scale(x_T, 1 / grid.front().scale()), {}}; }

Tensor Sampler::x_at(int index, const State& state) const {
  return scale(state.y, grid[static_cast<std::size_t>(index)].scale());
}

void walk(const Sampler& sampler, const Tensor& x_T, const Tensors& p, const Progress& progress,
          const std::function<void(int, const State&)>& visit) {
  const std::string what = "sampler " + sampler.stepper.name;
  check_grid(sampler.grid, what, sampler.repeats);
  require(sampler.targets.empty() || sampler.targets.size() + 1 == sampler.grid.size(), "{}: {} targets for {} steps",
          what, sampler.targets.size(), sampler.steps());
  require(x_T.defined() && x_T.rank() >= 1 && (x_T.dtype() == DType::f64 || x_T.dtype() == DType::f32),
          "{}: x_T should be (n, ...) in f64 or f32", what);
  require(first_non_finite(x_T) < 0, "{}: x_T holds a NaN or an infinity", what);
  State state = sampler.start(x_T);
  visit(0, state);
  LateCheck late;
  try {
    for (int i = 0; i < sampler.steps(); ++i) {
      state = sampler.step(i, state, p, late);
      visit(i + 1, state);
      report(progress, i + 1, sampler.steps());
    }
  } catch (...) {
    late.finish();  // a step whose state is no number is what went wrong first
    throw;
  }
  late.finish();
}

Tensor sample(const Sampler& sampler, const Tensor& x_T, const Tensors& p, const Progress& progress,
              const std::function<void(int, const Tensor&)>& each) {
  State last;
  walk(sampler, x_T, p, progress, [&](int index, const State& state) {
    if (each) each(index, sampler.x_at(index, {stop_gradient(state.y), {}}));
    last = state;
  });
  return sampler.x_at(sampler.steps(), last);
}

std::vector<State> trajectory(const Sampler& sampler, const Tensor& x_T, const Tensors& p, const Progress& progress) {
  std::vector<State> states;
  walk(sampler, x_T, p, progress, [&](int, const State& state) { states.push_back(state); });
  return states;
}

}  // namespace costate
