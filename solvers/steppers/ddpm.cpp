// DDPM's ancestral sampling, on any grid.
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/exp.h"
#include "solvers/halves.h"
#include "solvers/score_sde.h"
#include "solvers/stochastic.h"

namespace costate {
namespace {

enum class Variance { small, large, learned };

/// Noise of a learned variance: from v in [-1, 1], the second half of the network's output, between small and large in the logarithm
/// (Nichol and Dhariwal 2021, (15)).
Tensor add_learned_noise(const Step& step, const Tensor& mean, const Tensor& v, double small, double large) {
  require(v.defined(), "ddpm: variance = learned_range wants a network with twice the channels of its samples");
  const Tensor log_deviation = lincomb((std::log(large) - std::log(small)) / 2, v, 1,
                                       Tensor::full(v.shape(), (std::log(large) + std::log(small)) / 2, v.kind()));
  return mean + exp(log_deviation) * step.normal(mean);
}

/// The mean of q(x' | x, x_0) is y' = q y + (1 - q) x_0 with q = (s' / s)^2. Its variance (small) is s'^2 (1 - q); large is
/// that of the forward step from s' to s, (alpha / alpha')^2 (s^2 - s'^2) in y. No noise in the step to s = 0, unless `final_noise`
/// asks for the large one there too (diffusers, where its last t is not 0). From pure noise (s infinite) q = 0, and the two
/// are s'^2 and (sigma / alpha')^2.
State advance(Variance variance, bool final_noise, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  const DataStep d = data_step(from, to, 1);
  const double large = from.alpha == 0 ? from.sigma / to.alpha
                                       : from.alpha / to.alpha * std::sqrt((from.s() - to.s()) * (from.s() + to.s()));
  const auto [x_0, eps, v] = find_all(step.denoiser, state.y, from, step.p);
  const Tensor mean = lincomb(d.keep, state.y, 1 - d.keep, x_0);
  if (to.s() == 0 && !(final_noise && variance == Variance::large)) return {mean, {}};
  if (variance == Variance::learned) return {add_learned_noise(step, mean, v, d.up, large), {}};
  return {add_noise(step, mean, variance == Variance::large ? large : d.up), {}};
}

/// "Ancestral sampling" of score_sde: x' = (x + G^2 score) / c, and noise of its forward step (large) or less by s' / s.
State as_released(bool large, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  const auto [c, variance, ratio] = forward_step(Discretization::score_sde, step);
  require(large || !std::isnan(ratio), "ddpm: score_sde has variance = small for exploding schedules only");
  const Tensor eps = step.denoiser.eps(state.y, from, step.p);
  const Tensor mean = lincomb(from.alpha / (c * to.alpha), state.y, -variance / (c * from.sigma * to.alpha), eps);
  return {add_noise(step, mean, to.sigma == 0 ? 0 : std::sqrt(variance) * (large ? 1 : ratio) / to.alpha), {}};
}

}  // namespace

StepperType ddpm_stepper() {
  return {.name = "ddpm",
          .summary = "DDPM ancestral sampling; variance small, large or learned_range (of networks that say it)",
          .reference = "Ho, Jain and Abbeel 2020, (7) and section 3.2; Nichol and Dhariwal 2021, (15)",
          .options = {"variance", "final_noise", "discretization"},
          .make = [](const Config& options) {
            const std::string name = options.choice("variance", "small", {"small", "large", "learned_range"});
            const Variance variance = name == "small"   ? Variance::small
                                      : name == "large" ? Variance::large
                                                        : Variance::learned;
            const bool final_noise = options.flag("final_noise", false);
            const bool released = discretization_from(options) == Discretization::score_sde;
            require(!released || variance != Variance::learned, "ddpm: score_sde has no learned variance");
            return Stepper{
                .eta = 1, .leaves_pure_noise = !released, .advance = [=](const Step& step, const State& state) {
                  return released ? as_released(variance == Variance::large, step, state)
                                  : advance(variance, final_noise, step, state);
                }};
          }};
}

}  // namespace costate
