// Discrete schedules of DDPM and diffusers: an array of betas, ln alpha interpolated linearly between its steps.
#include <cmath>

#include "solvers/betas.h"
#include "solvers/linear_table.h"
#include "solvers/variance_preserving.h"

namespace costate {
namespace {

class Ddpm final : public VariancePreserving {
 public:
  explicit Ddpm(const Config& c) : given_(c), log_alpha_(log_alphas_from(c)) {
    t_min = 0;
    t_max = static_cast<double>(log_alpha_.size() - 1);
  }
  [[nodiscard]] double log_alpha(double t) const override {
    require(!beside_pure_noise(t) || t == t_max,
            "schedule ddpm: t = {} lies between index {} and pure noise at {}, where ln alpha falls to -infinity and "
            "nothing can be interpolated; take one of the two",
            t, t_max - 1, t_max);
    return log_alpha_.at(t);
  }
  [[nodiscard]] double f(double t) const override { return log_alpha_.slope(t); }
  [[nodiscard]] int steps() const override { return static_cast<int>(log_alpha_.size()); }
  [[nodiscard]] Config config() const override { return given_; }

 protected:
  [[nodiscard]] double t_of_log_alpha(double log_alpha) const override {
    if (log_alpha == log_alpha_.back()) return t_max;
    const double last = log_alpha_.at(t_max - 1);
    if (!ends_in_pure_noise() || log_alpha >= last) return log_alpha_.index_of(log_alpha);
    require(
        log_alpha > last - 1e-9 * std::abs(last),
        "schedule ddpm: a level with alpha = {:.6g} lies between index {} (alpha = {:.6g}) and pure noise, where "
        "nothing can be interpolated; stay at that index or below (churn: with S_max under its sigma / alpha, {:.6g})",
        std::exp(log_alpha), t_max - 1, std::exp(last), level(t_max - 1).s());
    return t_max - 1;  // up to rounding
  }

 private:
  /// Zero terminal SNR: ln alpha of the last index is -infinity.
  [[nodiscard]] bool ends_in_pure_noise() const { return std::isinf(log_alpha_.back()); }
  [[nodiscard]] bool beside_pure_noise(double t) const { return ends_in_pure_noise() && t > t_max - 1; }

  Config given_;
  LinearTable log_alpha_;
};

}  // namespace

ScheduleType ddpm_schedule() {
  return {"ddpm", "discrete: an array of betas, variance preserving", beta_keys(),
          [](const Config& c) { return std::make_shared<const Ddpm>(c); }};
}

}  // namespace costate
