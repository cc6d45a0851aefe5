// The continuous adjoint: its field, levels and states, and its explicit march from the clean end to the noisy one.
//
// In y = x / alpha and s = sigma / alpha, for the ODE (k = 1) and for SDEs with the share eta of noise (k = 1 + eta^2),
//   dy/ds = k eps(alpha y, t(s)) [+ noise],   da_y/ds = -k (d eps/dy)^T a_y,   da_p/ds = -k (d eps/dp)^T a_y.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "solvers/way_back.h"

namespace costate {

/// Denoiser::eps or Denoiser::x0.
using Reading = Tensor (Denoiser::*)(const Tensor& y, const Level& at, const Tensors& p) const;
/// {(dF/dy)^T a, (dF/dq)^T a} of a reading F at a level, q the parameters as step `index` sees them; F goes to `value`.
Cotangent pull_own(const GradientProblem& problem, Reading reading, int index, const Level& at, const Tensor& y,
                   const Tensor& a, Tensor* value = nullptr);
/// From cotangents of the parameters as step `index` sees them to those of p.
Tensors pull_schedule(const GradientProblem& problem, int index, const Tensors& own);
/// Both: {(dF/dy)^T a, (dF/dp)^T a}.
Cotangent pull_field(const GradientProblem& problem, Reading reading, int index, const Level& at, const Tensor& y,
                     const Tensor& a, Tensor* value = nullptr);

/// The step whose interval holds the clock value s.
int step_at(const Grid& grid, double s);
/// The level of a clock value: one of the grid's where s is one of theirs, else the schedule's.
Level level_at(const Sampler& sampler, double s);

/// The levels a continuous adjoint is solved on. Throws, naming the method, where the grid does not join the sampler's
/// ends, the clock is infinite, or a running cost has levels that it would miss.
Grid adjoint_levels(const GradientProblem& problem, const std::string& name);
/// Throws, naming the method and what would fit, unless the sampler solves the probability-flow ODE.
void require_ode(const GradientProblem& problem, const std::string& name);
/// The same, unless it solves that or the reverse SDE with a share of noise.
void require_ode_or_sde(const GradientProblem& problem, const std::string& name);
/// Says, if steps of the grid are longer than ln 2 in lambda, what an explicit Euler step of the adjoint does there, and the remedy.
std::string stiffness_warning(const std::string& name, const Grid& grid);
/// The states at which a continuous adjoint is linearised: at(i), i = levels - 1 ... 0 in turn, of a grid.
using StatesBack = std::function<Tensor(int index)>;
/// The sampler's own states, interpolated by a cubic in s where the grid's levels are not the sampler's.
StatesBack cached_states(const GradientProblem& problem, const Grid& grid, std::vector<Tensor> states);
/// Solved from x_0 to the noisy end with a deterministic stepper; with noise (eta > 0) by Euler's method in s on the draws
/// of the run forward.
StatesBack resolved_states(const GradientProblem& problem, const Grid& grid, const Tensor& y_0,
                           const std::string& stepper);

/// A noise that throws, naming the sampler, for steps that need more than the increment of their whole interval: states with
/// noise are solved again by steps of one such draw.
Noise one_draw_a_step(const Sampler& sampler);

/// Cubic Hermite interpolation of states over the clock s; slopes by parabolas through three neighbours unless given.
class DenseStates {
 public:
  DenseStates(const Grid& grid, std::vector<Tensor> states, std::vector<Tensor> slopes = {});
  [[nodiscard]] Tensor at(double s) const;

 private:
  [[nodiscard]] Tensor slope(std::size_t i) const;
  std::vector<double> s_;
  std::vector<Tensor> states_, slopes_;
};

/// Adds the running cost's derivative at level `index` of the sampler's grid, if it is one of those that have it.
void add_running(const GradientProblem& problem, int index, const Tensor& y, Cotangent& a);

/// How one explicit step from the cleaner level t to the noisier s combines the cotangent with what was pulled back at t:
/// a_y <- state a_y + field (dF/dy)^T a_y,   a_p <- a_p + parameters (dF/dp)^T a_y.
struct MarchWeights {
  double state = 1, field = 0, parameters = 0;
};
/// Explicit Euler in s: {1, k (s_t - s_s), k (s_t - s_s)}, k the drift.
MarchWeights euler_in_s(const Level& t, const Level& s, double drift);
struct March {
  Reading reading = &Denoiser::eps;
  std::function<MarchWeights(const Level& t, const Level& s, double drift)> weights = {};
  /// Extrapolates what was pulled back from this level and the one before it, as in AdjointDEIS-2M.
  bool two_step = false;
  bool stiff = true;  ///< explicit in s: unstable across the data manifold on steps longer than ln 2
};

/// Options of all marches: states (cached or resolved), resolver (the stepper of resolved states [euler, which is DDIM]), skip_last (leaves
/// out the interval next to the data, as the released code of AdjointDEIS does).
std::vector<std::string> march_options();
/// The adjoint that marches so; `name` for messages.
Adjoint marching_adjoint(const std::string& name, const March& march, const Config& options);

}  // namespace costate
