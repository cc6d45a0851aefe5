// The forward step that a reverse one undoes: between two levels, or as score_sde's code discretises its SDEs.
#pragma once

#include <limits>

#include "solvers/stepper.h"

namespace costate {

/// x_i = decay x_(i-1) + sqrt(variance) z
struct ForwardStep {
  double decay = 1, variance = 0;
  /// s_(i-1) / s_i; NaN where score_sde has no such levels.
  double ratio = std::numeric_limits<double>::quiet_NaN();
};

/// Option `discretization`:
///   grid        the forward step from step.to() to step.from(); the default
///   score_sde   N steps of 1 / N whatever the grid, N the number of steps, as in score_sde_pytorch's sde_lib: a
///               variance-preserving level has beta_i = g^2(i / (N - 1)) / N, an exploding one sigma(i / (N - 1)), others take
///               Euler-Maruyama's step, with i = floor(t (N - 1)). A grid uniform in t, with N levels evaluated.
enum class Discretization { grid, score_sde };
Discretization discretization_from(const Config& options);
ForwardStep forward_step(Discretization how, const Step& step);
/// -1 / N or the step of the grid in t.
double dt_of(Discretization how, const Step& step);

}  // namespace costate
