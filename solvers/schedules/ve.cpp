// The variance-exploding schedule: sigma geometric in t (Song et al. 2021, "Score-based ... SDEs", appendix C).
#include <nlohmann/json.hpp>

#include "solvers/schedule.h"

namespace costate {
namespace {

class Ve final : public Schedule {
 public:
  explicit Ve(const Config& c) : sigma_min_(c.number("sigma_min", 0.01)), sigma_max_(c.number("sigma_max", 50)) {
    require(sigma_min_ > 0 && sigma_max_ > sigma_min_, "{}: ve wants 0 < sigma_min < sigma_max, got {} and {}",
            c.where(), sigma_min_, sigma_max_);
    log_ratio_ = std::log(sigma_max_ / sigma_min_);
    read_times(c, 0, 1);
  }
  [[nodiscard]] double log_alpha(double) const override { return 0; }
  /// At t = 1 the number that was given, which exp and log miss by rounding: bounds on sigma (S_max) are compared with it.
  [[nodiscard]] double sigma(double t) const override {
    return t == 1 ? sigma_max_ : sigma_min_ * std::exp(log_ratio_ * t);
  }
  [[nodiscard]] double t_of_lambda(double lambda) const override {
    return (-lambda - std::log(sigma_min_)) / log_ratio_;
  }
  [[nodiscard]] double prior_std() const override { return sigma(t_max); }
  [[nodiscard]] double f(double) const override { return 0; }
  [[nodiscard]] double g2(double t) const override { return 2 * log_ratio_ * sigma(t) * sigma(t); }
  [[nodiscard]] Config config() const override {
    return {{{"type", "ve"}, {"sigma_min", sigma_min_}, {"sigma_max", sigma_max_}, {"t_min", t_min}, {"t_max", t_max}},
            "ve"};
  }

 private:
  double sigma_min_, sigma_max_;
  double log_ratio_ = 0;
};

}  // namespace

ScheduleType ve_schedule() {
  return {"ve",
          "variance exploding, sigma geometric in t",
          {"sigma_min", "sigma_max", "t_min", "t_max"},
          [](const Config& c) { return std::make_shared<const Ve>(c); }};
}

}  // namespace costate
