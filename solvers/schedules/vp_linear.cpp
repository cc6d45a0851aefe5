// The variance-preserving schedule with beta linear in t (Song et al. 2021, "Score-based ... SDEs", appendix C).
#include <nlohmann/json.hpp>

#include "solvers/variance_preserving.h"

namespace costate {
namespace {

class VpLinear final : public VariancePreserving {
 public:
  explicit VpLinear(const Config& c) : beta_min_(c.number("beta_min", 0.1)), beta_max_(c.number("beta_max", 20)) {
    require(beta_min_ > 0 && beta_max_ >= beta_min_, "{}: vp_linear wants 0 < beta_min <= beta_max, got {} and {}",
            c.where(), beta_min_, beta_max_);
    read_times(c, 1e-3, 1);
  }
  [[nodiscard]] double log_alpha(double t) const override {
    return -t * ((beta_max_ - beta_min_) * t / 4 + beta_min_ / 2);
  }
  [[nodiscard]] double f(double t) const override { return -(beta_min_ + (beta_max_ - beta_min_) * t) / 2; }
  [[nodiscard]] Config config() const override {
    return {
        {{"type", "vp_linear"}, {"beta_min", beta_min_}, {"beta_max", beta_max_}, {"t_min", t_min}, {"t_max", t_max}},
        "vp_linear"};
  }

 protected:
  /// The root of the quadratic written without a difference of near-equal numbers.
  [[nodiscard]] double t_of_log_alpha(double log_alpha) const override {
    const double root = std::sqrt(beta_min_ * beta_min_ - 4 * (beta_max_ - beta_min_) * log_alpha);
    return -4 * log_alpha / (root + beta_min_);
  }

 private:
  double beta_min_, beta_max_;
};

}  // namespace

ScheduleType vp_linear_schedule() {
  return {"vp_linear",
          "variance preserving, beta linear in t",
          {"beta_min", "beta_max", "t_min", "t_max"},
          [](const Config& c) { return std::make_shared<const VpLinear>(c); }};
}

}  // namespace costate
