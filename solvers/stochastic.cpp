// The shared arithmetic of stochastic steps.
#include "solvers/stochastic.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/add.h"

namespace costate {

Ancestral ancestral(double from, double to, double eta) {
  if (eta == 0 || to == 0) return {to, 0};
  const double q = to / from, up = std::min(to, eta * to * std::sqrt((1 - q) * (1 + q)));
  // s'^2 - up^2, without a difference of nearly equal numbers where q is small
  return {to * std::sqrt(std::max(0.0, (1 - eta) * (1 + eta) + eta * eta * q * q)), up};
}

Tensor add_noise(const Step& step, const Tensor& y, double up, int part) {
  return up == 0 ? y : lincomb(1, y, up, step.normal(y, part));
}

DataStep data_step(const Level& from, const Level& to, double eta) {
  const double q = to.s() / from.s();
  const double up = eta == 0 ? 0 : to.s() * std::sqrt(-std::expm1(2 * eta * std::log(q)));
  return {std::pow(q, 1 + eta), up, -(1 + eta) * std::log(q)};
}

double eta_from(const Config& options, double if_absent) {
  const double eta = options.number("eta", if_absent);
  require(eta >= 0 && eta <= 1, "{}: eta = {} should be between 0 and 1", options.where(), eta);
  return eta;
}

Stepper with_eta(const Config& options, Stepper like,
                 std::function<State(double eta, const Step& step, const State& state)> advance) {
  const double eta = eta_from(options);
  if (eta > 0) like.order = 1;
  like.eta = like.fresh = eta;
  like.advance = [eta, advance = std::move(advance)](const Step& step, const State& state) {
    return advance(eta, step, state);
  };
  return like;
}

Stepper with_squared_eta(const Config& options, Stepper like,
                         std::function<State(double eta, const Step& step, const State& state)> advance) {
  Stepper stepper = with_eta(options, std::move(like), std::move(advance));
  stepper.fresh = stepper.eta > 0 ? 1 : 0;
  stepper.eta = std::sqrt(stepper.eta);
  return stepper;
}

}  // namespace costate
