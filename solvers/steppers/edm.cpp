// EDM's stochastic sampler: some noise is added first, then a deterministic step is taken from there.
#include <algorithm>
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/heun.h"

namespace costate {
namespace {

struct Churn {
  double churn, low, high, noise;
  bool midpoint;  // in ln s, with Euler's weights
  bool late;      // noise is added behind the network's back
  Heun heun;
};

Tensor solve(const Churn& c, const Step& step, const Tensor& y, const Level& at) {
  const double from = at.s(), to = step.to().s();
  if (!c.midpoint || to == 0) return heun_step(c.heun, step, y, at, step.to());
  const double middle = std::sqrt(from * to);
  const Tensor eps = step.denoiser.eps(y, at, step.p);
  const Level between = step.at_lambda(-std::log(middle));
  return lincomb(1, y, to - from, step.denoiser.eps(lincomb(1, y, middle - from, eps), between, step.p));
}

/// A denoiser whose network says what it said for y at a level, whatever it is asked.
Denoiser evaluated_at(const Denoiser& d, const Tensor& y, const Level& at, const Tensors& p) {
  Tensor said;
  Denoiser seen = d;
  seen.net = [&](const Tensor& x, const Level& level, const Tensors& q) { return said = d.net(x, level, q); };
  static_cast<void>(seen.eps(y, at, p));
  seen.net = [said](const Tensor&, const Level&, const Tensors&) { return said; };
  return seen;
}

/// From pure noise, where y is x / sigma and s^ infinite: y^ = (y + S_noise sqrt(gamma (2 + gamma)) z) / (1 + gamma), and
/// Euler's y' = x_0 + (s' / s^) (s^ y^ - x_0) is x_0 + s' y^.
State leave_pure_noise(const Churn& c, double gamma, const Step& step, const Tensor& y) {
  const Denoiser unaware = c.late && gamma > 0 ? evaluated_at(step.denoiser, y, step.from(), step.p) : step.denoiser;
  const Tensor hat = gamma == 0 ? y
                                : lincomb(1 / (1 + gamma), y, c.noise * std::sqrt(gamma * (2 + gamma)) / (1 + gamma),
                                          step.extra_normal(y));
  return {lincomb(1, unaware.x0(hat, step.from(), step.p), step.to().s(), hat), {}};
}

/// s^ = s (1 + gamma), gamma = min(S_churn / N, sqrt(2) - 1) where S_min <= s <= S_max; y^ = y + S_noise sqrt(s^^2 - s^2) z.
State advance(const Churn& c, const Step& step, const State& state) {
  const double s = step.from().s(), n = static_cast<double>(step.grid.size() - 1);
  const double gamma = s >= c.low && s <= c.high ? std::min(c.churn / n, std::sqrt(2) - 1) : 0;
  if (step.from().alpha == 0) return leave_pure_noise(c, gamma, step, state.y);
  if (gamma == 0) return {solve(c, step, state.y, step.from()), {}};
  const Level hat = step.at_lambda(-std::log(s * (1 + gamma)));
  const Denoiser unaware = c.late ? evaluated_at(step.denoiser, state.y, step.from(), step.p) : step.denoiser;
  const Tensor y = lincomb(1, state.y, c.noise * s * std::sqrt(gamma * (2 + gamma)), step.extra_normal(state.y));
  if (!c.late) return {solve(c, step, y, hat), {}};
  // x_0 of a v is read with the step's own level, that of all others with the noised one.
  const Tensor x_0 = unaware.x0(y, unaware.prediction == Prediction::v ? step.from() : hat, step.p);
  const double q = step.to().s() / hat.s();
  return {lincomb(q, y, 1 - q, x_0), {}};
}

}  // namespace

StepperType edm_stepper() {
  return {.name = "edm",
          .summary = "EDM: Heun (or kind euler, midpoint) after added noise; S_churn 0 is deterministic",
          .reference = "Karras et al. 2022, algorithm 2",
          .options = {"S_churn", "S_min", "S_max", "S_noise", "noise_before_network", "kind", "clock"},
          .make = [](const Config& options) {
            const std::string kind = options.choice("kind", "heun", {"heun", "euler", "midpoint"});
            const Churn c{.churn = options.number("S_churn", 0),
                          .low = options.number("S_min", 0),
                          .high = options.number("S_max", INFINITY),
                          .noise = options.number("S_noise", 1),
                          .midpoint = kind == "midpoint",
                          .late = !options.flag("noise_before_network", true),
                          .heun = {.clock = clock_from(options), .correct = kind == "heun"}};
            require(c.churn >= 0, "edm: S_churn = {} should not be negative", c.churn);
            require(!c.midpoint || c.heun.clock == Clock::s,
                    "edm: kind midpoint is in ln(sigma / alpha), not in clock = t");
            require(!c.late || kind == "euler", "edm: noise_before_network = false is for kind = euler");
            return Stepper{.order = c.churn > 0 || kind == "euler" ? 1 : 2,
                           .evaluations = kind == "euler" ? 1 : 2,
                           .eta = c.churn > 0 ? 1.0 : 0.0,
                           .solves_sde = c.churn == 0,
                           .leaves_pure_noise = true,
                           .advance = [c](const Step& step, const State& state) { return advance(c, step, state); }};
          }};
}

}  // namespace costate
