// What all variance-preserving schedules share: alpha^2 + sigma^2 = 1, so ln alpha alone says everything.
#pragma once

#include <algorithm>
#include <cmath>

#include "solvers/schedule.h"

namespace costate {

class VariancePreserving : public Schedule {
 public:
  /// expm1 keeps the digits of sigma near t = 0, where 1 - alpha^2 would lose them all.
  [[nodiscard]] double sigma(double t) const final { return std::sqrt(-std::expm1(2 * log_alpha(t))); }
  /// e^(2 lambda) = alpha^2 / (1 - alpha^2), so -ln alpha = softplus(-2 lambda) / 2.
  [[nodiscard]] double t_of_lambda(double lambda) const final {
    const double softplus = std::max(-2 * lambda, 0.0) + std::log1p(std::exp(-2 * std::abs(lambda)));
    return t_of_log_alpha(-softplus / 2);
  }
  /// dx = -beta x / 2 dt + sqrt(beta) dw
  [[nodiscard]] double g2(double t) const final { return -2 * f(t); }

 protected:
  [[nodiscard]] virtual double t_of_log_alpha(double log_alpha) const = 0;
};

}  // namespace costate
