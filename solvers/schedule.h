// Noise schedules: x_t = alpha_t x_0 + sigma_t eps. Everything else derives from alpha and sigma.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"

namespace costate {

/// One noise level. The network is told `t`; the mathematics needs alpha and sigma only.
struct Level {
  double t = 0, alpha = 1, sigma = 0;

  /// The canonical clock, e^-lambda; infinite at pure noise (alpha = 0).
  [[nodiscard]] double s() const { return sigma / alpha; }
  /// Half log-SNR; +inf at the clean end, -inf at pure noise.
  [[nodiscard]] double lambda() const { return std::log(alpha) - std::log(sigma); }
  /// x over the canonical state: alpha, and sigma where alpha = 0.
  [[nodiscard]] double scale() const { return alpha > 0 ? alpha : sigma; }
};

/// A linear schedule in closed form, all in f64. Levels go from t_max (noise) to t_min (data).
class Schedule {
 public:
  Schedule() = default;
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  virtual ~Schedule() = default;

  double t_min = 1e-3, t_max = 1;

  [[nodiscard]] virtual double log_alpha(double t) const = 0;
  [[nodiscard]] virtual double sigma(double t) const = 0;
  [[nodiscard]] virtual double t_of_lambda(double lambda) const = 0;  ///< inverse of lambda
  [[nodiscard]] virtual double prior_std() const { return 1; }        ///< standard deviation that x_T is drawn with
  [[nodiscard]] virtual Config config() const = 0;                    ///< what schedule_from reads back
  /// Number of steps of a discrete schedule, whose t are 0 ... steps - 1 (fractions interpolate); 0 for a continuous
  /// one.
  [[nodiscard]] virtual int steps() const { return 0; }

  [[nodiscard]] double alpha(double t) const { return std::exp(log_alpha(t)); }
  [[nodiscard]] double lambda(double t) const { return log_alpha(t) - std::log(sigma(t)); }
  [[nodiscard]] Level level(double t) const { return {t, alpha(t), sigma(t)}; }
  /// Drift f = d ln alpha / dt and squared diffusion g^2 = 2 alpha^2 s ds/dt = -2 sigma^2 dlambda/dt of the forward
  /// SDE. Here by fourth-order differences, for t > 0 away from a singular end; closed forms override.
  [[nodiscard]] virtual double f(double t) const;
  [[nodiscard]] virtual double g2(double t) const;

 protected:
  /// t_min and t_max of a configuration. Throws unless 0 <= t_min < t_max.
  void read_times(const Config& config, double t_min_if_absent, double t_max_if_absent);
};

using SchedulePtr = std::shared_ptr<const Schedule>;

/// One file of solvers/schedules.
struct ScheduleType {
  std::string name;  ///< `type` in a configuration: vp_linear, vp_scaled_linear, vp_cosine, ddpm, ve, edm ...
  std::string summary;
  std::vector<std::string> keys;  ///< what a configuration may hold besides `type`; anything else is refused
  std::function<SchedulePtr(const Config&)> make;
};
const std::vector<ScheduleType>& schedules();

/// The schedule of a configuration {"type": ..., ...}. Unknown types and values throw.
SchedulePtr schedule_from(const Config& config);

}  // namespace costate
