// Euler and Heun steps in either clock.
#include "solvers/heun.h"

#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"

namespace costate {
namespace {

/// dx/dt = f x + alpha ds/dt eps, and ds/dt = g^2 / (2 alpha^2 s).
Tensor slope_in_t(const Step& step, const Tensor& y, const Level& at) {
  const Schedule& schedule = step.scheduled();
  const double speed = schedule.g2(at.t) / (2 * at.alpha * at.s());
  return lincomb(schedule.f(at.t) * at.alpha, y, speed, step.denoiser.eps(y, at, step.p));
}

}  // namespace

/// Published: with d the slope at `from` and d' that at from + alpha h of the Euler step,
/// x' = x + h ((1 - 1/(2 alpha)) d + 1/(2 alpha) d').
Tensor heun_step(const Heun& m, const Step& step, const Tensor& y, const Level& from, const Level& to) {
  const auto slope = [&](const Tensor& state, const Level& at) {
    return m.in_t ? slope_in_t(step, state, at) : step.denoiser.eps(state, at, step.p);
  };
  // The state moves in x where the clock is t.
  const auto move = [&](double h, const Tensor& d, const Level& at) {
    return m.in_t ? lincomb(from.alpha / at.alpha, y, h / at.alpha, d) : lincomb(1, y, h, d);
  };
  const double h = m.in_t ? to.t - from.t : to.s() - from.s();
  const Tensor d = slope(y, from);
  if (!m.correct || to.s() == 0) return move(h, d, to);
  Level second = to;
  if (m.alpha != 1)
    second = m.in_t ? step.at_t(from.t + m.alpha * h) : step.at_lambda(-std::log(from.s() + m.alpha * h));
  const Tensor d2 = slope(move(m.alpha * h, d, second), second);
  if (m.alpha == 1) return move(h / 2, add(d, d2), to);
  const double w = 1 / (2 * m.alpha);
  return move(h, lincomb(1 - w, d, w, d2), to);
}

bool clock_is_t(const Config& options) { return options.choice("clock", "s", {"s", "t"}) == "t"; }

}  // namespace costate
