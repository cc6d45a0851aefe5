// ShARK: a Runge-Kutta method of strong order 1.5 for the reverse SDE in data form.
#pragma once

#include "solvers/stepper.h"

namespace costate {

// With rho = 1 / s^2 and u = y rho the reverse SDE is du = x_0 d rho + dB, B a Brownian motion in rho: its noise does not
// depend on the state.

/// Increment and area of B over a step, from those of the path in lambda.
struct RhoPath {
  Tensor W, H;
};
RhoPath path_in_rho(const Step& step, const Tensor& like);

/// What u gains from one level to the other, down or up, along the path of the step; `y` is the state at `from`.
Tensor shark(const Step& step, const Level& from, const Level& to, const Tensor& y, const RhoPath& path);
/// The same by Euler-Maruyama, which needs no area.
Tensor euler_in_rho(const Step& step, const Level& from, const Level& to, const Tensor& y, const Tensor& W);

}  // namespace costate
