// A sampler: denoiser, grid, stepper and noise put together, and the loop.
#pragma once

#include "core/progress.h"
#include "solvers/late_check.h"
#include "solvers/stepper.h"

namespace costate {

struct Sampler {
  Denoiser denoiser;
  Grid grid;
  Stepper stepper;
  Noise noise = no_noise();
  SchedulePtr schedule = nullptr;  ///< for methods that evaluate between the grid's levels
  /// The parameters as step `index` sees them, where they change along the way (a condition scheduled over the steps);
  /// written with ops. Null: p itself.
  std::function<Tensors(int index, const Tensors& p)> p_of_step = nullptr;
  /// Where step i ends, if not at grid[i + 1]: x there is then taken for x at that level. Right for no method; for
  /// libraries that step by T / N whatever their grid. Empty: steps end on the grid.
  Grid targets = {};
  /// Levels may repeat: a step between them changes nothing.
  bool repeats = false;

  [[nodiscard]] int steps() const { return static_cast<int>(grid.size()) - 1; }
  [[nodiscard]] Tensors parameters(int index, const Tensors& p) const { return p_of_step ? p_of_step(index, p) : p; }
  /// One step: from level `index` to level `index + 1`. From pure noise (alpha = 0, an infinite step in lambda) it is of
  /// first order, y' = x_0 + s' (sqrt(1 - f^2) eps + f z) with f = Stepper::fresh, but for methods that take it themselves
  /// (Stepper::leaves_pure_noise); upwards (encoding) the step to pure noise is y' = eps, and the one from sigma = 0 is Euler's
  /// with eps at the level it goes to. Throws if a NaN or an infinity comes out, naming the step.
  [[nodiscard]] State step(int index, const State& state, const Tensors& p) const;
  /// The same, thrown when `late` looks next or is told to finish.
  [[nodiscard]] State step(int index, const State& state, const Tensors& p, LateCheck& late) const;
  /// The state before step `index` from the one after it, for steppers that have an inverse (others throw). The step from
  /// pure noise has none: what comes out is its limit upwards, eps.
  [[nodiscard]] State invert(int index, const State& next, const Tensors& p) const;
  /// A last state of which y is known, for steppers that have an inverse.
  [[nodiscard]] State arrive(const Tensor& y, const Tensors& p) const;
  /// Between x and the canonical state at a level.
  [[nodiscard]] State start(const Tensor& x_T) const;
  [[nodiscard]] Tensor x_at(int index, const State& state) const;

 private:
  /// own: parameters(index, p), which must outlive it; levels: the grid, or what stands for it
  [[nodiscard]] Step at(int index, const Tensors& own, const Grid& levels) const;
  void check(const State& found, const Step& step, const State& before, const char* direction, LateCheck& late) const;
};

/// Runs the sampler and shows every state, the first included, to visit(level index, state).
void walk(const Sampler& sampler, const Tensor& x_T, const Tensors& p, const Progress& progress,
          const std::function<void(int, const State&)>& visit);

/// x_0 from x_T (n, ...), f64 or f32: the dtype of x_T is the dtype of the state. Differentiable in x_T and p: a tape
/// that watches them gives the discretise-then-optimise gradient. `each`, if given, sees (level index, x) of every
/// level, the first included. The first NaN or infinity throws with its step.
Tensor sample(const Sampler& sampler, const Tensor& x_T, const Tensors& p, const Progress& progress = {},
              const std::function<void(int, const Tensor&)>& each = {});

/// The canonical states at all levels, with what multistep methods remember there.
std::vector<State> trajectory(const Sampler& sampler, const Tensor& x_T, const Tensors& p,
                              const Progress& progress = {});

}  // namespace costate
