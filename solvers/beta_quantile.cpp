// The incomplete beta function by its series, and its inverse by Newton steps that bisection keeps in place.
#include "solvers/beta_quantile.h"

#include <cmath>

#include "core/error.h"

namespace costate {
namespace {

/// ln of x^a (1 - x)^a / B(a, a)
double log_weight(double x, double a) {
  return a * (std::log(x) + std::log1p(-x)) + std::lgamma(2 * a) - 2 * std::lgamma(a);
}

/// I_x(a, a) for x <= 1/2: x^a (1 - x)^a / (a B(a, a)) times 2F1(2a, 1; a + 1; x), whose terms fall by x and faster.
double lower(double x, double a) {
  if (x <= 0) return 0;
  double term = 1, sum = 1;
  for (int n = 0; term > 1e-17 * sum; ++n) sum += term *= (2 * a + n) / (a + 1 + n) * x;
  return std::exp(log_weight(x, a)) / a * sum;
}

}  // namespace

double beta_quantile(double p, double a) {
  require(p >= 0 && p <= 1 && a > 0, "beta quantile: p = {} should be in [0, 1] and a = {} positive", p, a);
  if (p > 0.5) return 1 - beta_quantile(1 - p, a);
  double low = 0, high = 0.5, x = 0.5;
  for (int i = 0; i < 200 && p > 0 && p < 0.5; ++i) {
    const double off = lower(x, a) - p;
    (off > 0 ? high : low) = x;
    const double newton = x - off / std::exp(log_weight(x, a) - std::log(x) - std::log1p(-x));
    const double next = newton > low && newton < high ? newton : (low + high) / 2;
    if (std::abs(next - x) <= 1e-16 * x) break;
    x = next;
  }
  return p == 0 ? 0 : x;
}

}  // namespace costate
