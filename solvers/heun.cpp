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

Tensor slope(Clock clock, const Step& step, const Tensor& y, const Level& at) {
  if (clock == Clock::s) return step.denoiser.eps(y, at, step.p);
  if (clock == Clock::t) return slope_in_t(step, y, at);
  const auto [x_0, eps] = step.denoiser.both(y, at, step.p);
  return lincomb(1, eps, -1, x_0);
}

double time_of(Clock clock, const Level& at) {
  return clock == Clock::s ? at.s() : clock == Clock::t ? at.t : at.sigma / (at.alpha + at.sigma);
}

Level level_at(Clock clock, const Step& step, double time) {
  if (clock == Clock::t) return step.at_t(time);
  return step.at_lambda(clock == Clock::s ? -std::log(time) : std::log1p(-time) - std::log(time));
}

/// What is integrated, over y.
double scale_of(Clock clock, const Level& at) {
  return clock == Clock::s ? 1 : clock == Clock::t ? at.alpha : at.scale() / (at.alpha + at.sigma);
}

}  // namespace

/// Published: with d the slope at `from` and d' that at from + alpha h of the Euler step,
/// x' = x + h ((1 - 1/(2 alpha)) d + 1/(2 alpha) d').
Tensor heun_step(const Heun& m, const Step& step, const Tensor& y, const Level& from, const Level& to) {
  const auto move = [&](double h, const Tensor& d, const Level& at) {
    return lincomb(scale_of(m.clock, from) / scale_of(m.clock, at), y, h / scale_of(m.clock, at), d);
  };
  const double start = time_of(m.clock, from), h = time_of(m.clock, to) - start;
  const Tensor d = slope(m.clock, step, y, from);
  if (!m.correct || to.s() == 0) return move(h, d, to);
  const Level second = m.alpha == 1 ? to : level_at(m.clock, step, start + m.alpha * h);
  const Tensor d2 = slope(m.clock, step, move(m.alpha * h, d, second), second);
  if (m.alpha == 1) return move(h / 2, add(d, d2), to);
  const double w = 1 / (2 * m.alpha);
  return move(h, lincomb(1 - w, d, w, d2), to);
}

Clock clock_from(const Config& options) {
  const std::string clock = options.choice("clock", "s", {"s", "t", "flow"});
  return clock == "s" ? Clock::s : clock == "t" ? Clock::t : Clock::flow;
}

}  // namespace costate
