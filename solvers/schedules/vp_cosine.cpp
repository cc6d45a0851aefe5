// The cosine schedule in continuous time (Nichol and Dhariwal 2021, "Improved DDPM", (17)).
#include <nlohmann/json.hpp>
#include <numbers>

#include "solvers/variance_preserving.h"

namespace costate {
namespace {

/// alpha = cos(a + b t) / cos(a) with a = pi/2 c / (1 + c) and b = pi/2 / (1 + c).
class VpCosine final : public VariancePreserving {
 public:
  explicit VpCosine(const Config& c) : offset_(c.number("offset", 0.008)) {
    require(offset_ > 0, "{}: vp_cosine wants offset > 0, got {}", c.where(), offset_);
    read_times(c, 1e-3, 0.9946);
    require(t_max < 1, "{}: vp_cosine has no signal left at t = 1; t_max = {} should be smaller (0.9946 is usual)",
            c.where(), t_max);
    b_ = std::numbers::pi / 2 / (1 + offset_);
    tan_a_ = std::tan(b_ * offset_);
  }
  /// The addition theorem, so that 1 - alpha keeps its digits near t = 0.
  [[nodiscard]] double log_alpha(double t) const override {
    const double half = std::sin(b_ * t / 2);
    return std::log1p(-2 * half * half - tan_a_ * std::sin(b_ * t));
  }
  [[nodiscard]] double f(double t) const override { return -b_ * std::tan(b_ * (t + offset_)); }
  [[nodiscard]] Config config() const override {
    return {{{"type", "vp_cosine"}, {"offset", offset_}, {"t_min", t_min}, {"t_max", t_max}}, "vp_cosine"};
  }

 protected:
  /// With u = tan(b t / 2) the addition theorem is a quadratic: (1 + alpha) u^2 + 2 tan(a) u - (1 - alpha) = 0.
  [[nodiscard]] double t_of_log_alpha(double log_alpha) const override {
    const double sigma2 = -std::expm1(2 * log_alpha);
    return 2 * std::atan(-std::expm1(log_alpha) / (tan_a_ + std::sqrt(tan_a_ * tan_a_ + sigma2))) / b_;
  }

 private:
  double offset_;
  double b_ = 0, tan_a_ = 0;
};

}  // namespace

ScheduleType vp_cosine_schedule() {
  return {"vp_cosine",
          "variance preserving, alpha a quarter of a cosine",
          {"offset", "t_min", "t_max"},
          [](const Config& c) { return std::make_shared<const VpCosine>(c); }};
}

}  // namespace costate
