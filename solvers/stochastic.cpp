// The shared arithmetic of stochastic steps.
#include "solvers/stochastic.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/add.h"

namespace costate {

Ancestral ancestral(double from, double to, double eta) {
  if (eta == 0 || to == 0) return {to, 0};
  const double up = std::min(to, eta * to * std::sqrt((1 - to / from) * (1 + to / from)));
  return {std::sqrt((to - up) * (to + up)), up};
}

Tensor add_noise(const Step& step, const Tensor& y, double up, int part) {
  return up == 0 ? y : lincomb(1, y, up, step.normal(y, part));
}

DataStep data_step(const Level& from, const Level& to, double eta) {
  const double q = to.s() / from.s();
  const double up = q == 0 || eta == 0 ? 0 : to.s() * std::sqrt(-std::expm1(2 * eta * std::log(q)));
  return {std::pow(q, 1 + eta), up, -(1 + eta) * std::log(q)};
}

double eta_from(const Config& options) {
  const double eta = options.number("eta", 1);
  require(eta >= 0 && eta <= 1, "{}: eta = {} should be between 0 and 1", options.where(), eta);
  return eta;
}

}  // namespace costate
