// The variance-preserving schedule with sqrt(beta) linear in t: Stable Diffusion's, in continuous time.
#include <nlohmann/json.hpp>

#include "solvers/variance_preserving.h"

namespace costate {
namespace {

class VpScaledLinear final : public VariancePreserving {
 public:
  explicit VpScaledLinear(const Config& c)
      : beta_min_(c.number("beta_min", 0.85)), beta_max_(c.number("beta_max", 12)) {
    require(beta_min_ > 0 && beta_max_ >= beta_min_,
            "{}: vp_scaled_linear wants 0 < beta_min <= beta_max, got {} and {}", c.where(), beta_min_, beta_max_);
    r_ = std::sqrt(beta_min_);
    d_ = std::sqrt(beta_max_) - r_;
    read_times(c, 1e-3, 1);
  }
  /// -((r + d t)^3 - r^3) / (6 d), multiplied out
  [[nodiscard]] double log_alpha(double t) const override {
    return -t * (3 * r_ * r_ + 3 * r_ * d_ * t + d_ * d_ * t * t) / 6;
  }
  [[nodiscard]] double f(double t) const override { return -(r_ + d_ * t) * (r_ + d_ * t) / 2; }
  [[nodiscard]] Config config() const override {
    return {{{"type", "vp_scaled_linear"},
             {"beta_min", beta_min_},
             {"beta_max", beta_max_},
             {"t_min", t_min},
             {"t_max", t_max}},
            "vp_scaled_linear"};
  }

 protected:
  /// t = (q - r) / d with q^3 = r^3 - 6 d ln alpha; the difference of cubes avoids the cancellation in q - r.
  [[nodiscard]] double t_of_log_alpha(double log_alpha) const override {
    const double q = std::cbrt(r_ * r_ * r_ - 6 * d_ * log_alpha);
    return -6 * log_alpha / (q * q + q * r_ + r_ * r_);
  }

 private:
  double beta_min_, beta_max_;
  double r_ = 0, d_ = 0;  // sqrt(beta) at t = 0, and its slope
};

}  // namespace

ScheduleType vp_scaled_linear_schedule() {
  return {"vp_scaled_linear",
          "variance preserving, sqrt(beta) linear in t",
          {"beta_min", "beta_max", "t_min", "t_max"},
          [](const Config& c) { return std::make_shared<const VpScaledLinear>(c); }};
}

}  // namespace costate
