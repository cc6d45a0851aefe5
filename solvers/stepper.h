// Steppers: one step of a sampler in the canonical clock. One file of solvers/steppers each, 3 to 25 lines.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/config.h"
#include "solvers/denoiser.h"
#include "solvers/grid.h"
#include "solvers/noise.h"
#include "solvers/runge_kutta.h"

namespace costate {

/// All that the next step needs: the canonical state y = x / alpha (x / sigma at pure noise, where alpha = 0) and what a
/// multistep method remembers.
struct State {
  Tensor y;
  Tensors memory;
};

/// What a step may ask for.
struct Step {
  const Denoiser& denoiser;
  const Tensors& p;  ///< differentiable parameters of the network
  const Grid& grid;
  int index;  ///< the step goes from grid[index] to grid[index + 1]
  const Noise& noise;
  const Schedule* schedule;  ///< of levels between those of the grid; may be null

  [[nodiscard]] const Level& from() const { return grid[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const Level& to() const { return grid[static_cast<std::size_t>(index) + 1]; }
  /// The level `k` steps before from().
  [[nodiscard]] const Level& back(std::size_t k) const { return grid[static_cast<std::size_t>(index) - k]; }
  /// A level between the grid's by its lambda or its t. Throws where the sampler was given no schedule.
  [[nodiscard]] Level at_lambda(double lambda) const;
  [[nodiscard]] Level at_t(double t) const { return scheduled().level(t); }
  [[nodiscard]] const Schedule& scheduled() const;
  /// A level by its index, of a sampler's option `stride`, which counts them. Throws where the schedule is continuous or has no such index.
  [[nodiscard]] Level at_index(double index) const;
  /// The same step with another denoiser or noise, which must outlive it.
  [[nodiscard]] Step with(const Denoiser& other) const { return {other, p, grid, index, noise, schedule}; }
  [[nodiscard]] Step with(const Noise& other) const { return {denoiser, p, grid, index, other, schedule}; }
  /// Standard normal noise for the step's interval; a step that draws more than once numbers its parts.
  [[nodiscard]] Tensor normal(const Tensor& like, int part = 0) const { return normal_to(to().s(), like, part); }
  /// The same for the interval from the step's first level to s.
  [[nodiscard]] Tensor normal_to(double s, const Tensor& like, int part = 0) const;
  /// Noise that is no increment of the step's Brownian path: churn, a corrector's.
  [[nodiscard]] Tensor extra_normal(const Tensor& like, int part = 0) const;
  /// The space-time Levy area of the path over the step, see Draw, as standard normals.
  [[nodiscard]] Tensor levy_area(const Tensor& like) const;
};

/// How samples should be put into batches where results must not depend on the batch.
enum class Batching {
  any,
  one_by_one,   ///< decides by the whole batch, its step size say
  all_at_once,  ///< couples all samples of a run on purpose
};

/// A method with its options settled.
struct Stepper {
  std::string name = {};  ///< as asked for
  int order = 1;
  int evaluations = 1;  ///< of the network, per step; 0: as many as a tolerance asks for
  double eta = 0;       ///< share of fresh noise: 0 solves the probability-flow ODE, 1 the reverse SDE
  /// The same in the step from pure noise, y' = x_0 + s' (sqrt(1 - fresh^2) eps + fresh z). A step of the SDE with x_0 held
  /// keeps (s'/s)^(1 + eta^2) of y = x_0 + s eps, hence s' (s'/s)^(eta^2) eps: nothing from s = infinity, whatever eta > 0.
  /// Ancestral splits keep sqrt(1 - eta^2) s' eps from anywhere: eta.
  double fresh = eta > 0 ? 1 : 0;
  /// Short steps tend to dy/ds = (1 + eta^2) eps + noise of variance eta^2 d(s^2), which continuous adjoints rely on. Churn
  /// and Langevin steps do not.
  bool solves_sde = true;
  Batching batching = Batching::any;
  bool leaves_pure_noise =
      false;  ///< takes the step from alpha = 0 itself, where others are given the one that `fresh` says
  std::function<State(const Step& step, const State& state)> advance = {};
  /// Where the method has an algebraic inverse: the state before a step from the one after it, memory included. Advancing
  /// what comes out gives back what went in, at every index.
  std::function<State(const Step& step, const State& next)> invert = {};
  /// Goes with invert: a state that a step may have led to, from y alone.
  std::function<State(const Step& step, const Tensor& y)> arrive = {};
  /// Where the step is an explicit Runge-Kutta method for dy/ds = eps: its table. A step to s = 0 is Euler's.
  const Tableau* tableau = nullptr;
};

/// What a file of solvers/steppers defines.
struct StepperType {
  std::string name;                       ///< as in `--sampler`
  std::string summary;                    ///< what it is, in a line
  std::string reference;                  ///< paper and equation
  std::vector<std::string> options = {};  ///< keys that `make` reads; anything else is refused
  std::vector<int> orders = {};           ///< those of an option `order`, if any: NAME-2 stands for NAME and order 2
  std::function<Stepper(const Config& options)> make;
};

/// All steppers, from the files of solvers/steppers.
const std::vector<StepperType>& steppers();
/// Every name that `--sampler` takes without options: NAME, or NAME-1, NAME-2 ... where there are orders.
std::vector<std::string> sampler_names();
/// The file that a sampler's name belongs to.
const StepperType& stepper_type(const std::string& name);
/// By name and options; an unknown name throws with the nearest, an unknown option with those there are.
Stepper make_stepper(const std::string& name, const Config& options = {});

}  // namespace costate
