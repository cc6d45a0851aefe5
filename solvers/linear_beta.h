// beta linear in t, shared by the schedules built on it: VP, sub-VP and EDM's form of VP.
#pragma once

#include <cmath>

#include "core/config.h"

namespace costate {

/// ln alpha = -int beta / 2 for beta = beta_min + (beta_max - beta_min) t.
struct LinearBeta {
  double beta_min, beta_max;

  explicit LinearBeta(const Config& c) : beta_min(c.number("beta_min", 0.1)), beta_max(c.number("beta_max", 20)) {
    require(beta_min > 0 && beta_max >= beta_min, "{}: wants 0 < beta_min <= beta_max, got {} and {}", c.where(),
            beta_min, beta_max);
  }
  [[nodiscard]] double beta(double t) const { return beta_min + (beta_max - beta_min) * t; }
  [[nodiscard]] double log_alpha(double t) const { return -t * ((beta_max - beta_min) * t / 4 + beta_min / 2); }
  /// The root of the quadratic written without a difference of near-equal numbers.
  [[nodiscard]] double t_of(double log_alpha) const {
    const double root = std::sqrt(beta_min * beta_min - 4 * (beta_max - beta_min) * log_alpha);
    return -4 * log_alpha / (root + beta_min);
  }
};

}  // namespace costate
