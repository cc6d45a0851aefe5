// A list of noise levels, geometric between two ends, with t its index (Permenter and Yuan 2024).
#include <nlohmann/json.hpp>

#include "solvers/schedule.h"

namespace costate {
namespace {

class LogLinear final : public Schedule {
 public:
  explicit LogLinear(const Config& c)
      : least_(c.number("sigma_min", 0.02)),
        most_(c.number("sigma_max", 10)),
        steps_(static_cast<int>(c.integer("num_train_timesteps", 200))) {
    require(least_ > 0 && most_ > least_, "{}: log_linear wants 0 < sigma_min < sigma_max, got {} and {}", c.where(),
            least_, most_);
    require(steps_ >= 2, "{}: num_train_timesteps = {} should be 2 or more", c.where(), steps_);
    t_min = 0;
    t_max = steps_ - 1;
    slope_ = std::log(most_ / least_) / t_max;
  }
  [[nodiscard]] double log_alpha(double) const override { return 0; }
  /// The last one is the number that was given, which exp and log miss by rounding.
  [[nodiscard]] double sigma(double t) const override { return t == t_max ? most_ : least_ * std::exp(slope_ * t); }
  [[nodiscard]] double t_of_lambda(double lambda) const override { return (-lambda - std::log(least_)) / slope_; }
  [[nodiscard]] double prior_std() const override { return most_; }
  [[nodiscard]] double f(double) const override { return 0; }
  [[nodiscard]] double g2(double t) const override { return 2 * slope_ * sigma(t) * sigma(t); }
  [[nodiscard]] int steps() const override { return steps_; }
  [[nodiscard]] Config config() const override {
    return {{{"type", "log_linear"}, {"sigma_min", least_}, {"sigma_max", most_}, {"num_train_timesteps", steps_}},
            "log_linear"};
  }

 private:
  double least_, most_;
  int steps_;
  double slope_ = 0;  // d ln sigma / dt
};

}  // namespace

ScheduleType log_linear_schedule() {
  return {"log_linear",
          "discrete: alpha = 1, sigma geometric in the index",
          {"sigma_min", "sigma_max", "num_train_timesteps"},
          [](const Config& c) { return std::make_shared<const LogLinear>(c); }};
}

}  // namespace costate
