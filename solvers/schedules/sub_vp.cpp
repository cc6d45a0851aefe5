// The sub-VP schedule: alpha of VP-linear with sigma = 1 - alpha^2, not its root (Song et al. 2021, (29)).
#include <nlohmann/json.hpp>

#include "solvers/linear_beta.h"
#include "solvers/schedule.h"

namespace costate {
namespace {

class SubVp final : public Schedule {
 public:
  explicit SubVp(const Config& c) : beta_(c) { read_times(c, 1e-3, 1); }
  [[nodiscard]] double log_alpha(double t) const override { return beta_.log_alpha(t); }
  [[nodiscard]] double sigma(double t) const override { return -std::expm1(2 * log_alpha(t)); }
  /// With r = e^lambda, 1 - alpha^2 = alpha / r; sigma comes out without cancellation.
  [[nodiscard]] double t_of_lambda(double lambda) const override {
    const double q = std::exp(-lambda), alpha = 2 / (q + std::sqrt(q * q + 4));
    return beta_.t_of(q < 1 ? std::log1p(-alpha * q) / 2 : std::log(alpha));
  }
  [[nodiscard]] double f(double t) const override { return -beta_.beta(t) / 2; }
  [[nodiscard]] double g2(double t) const override { return -beta_.beta(t) * std::expm1(4 * log_alpha(t)); }
  [[nodiscard]] Config config() const override {
    return {{{"type", "sub_vp"},
             {"beta_min", beta_.beta_min},
             {"beta_max", beta_.beta_max},
             {"t_min", t_min},
             {"t_max", t_max}},
            "sub_vp"};
  }

 private:
  LinearBeta beta_;
};

}  // namespace

ScheduleType sub_vp_schedule() {
  return {"sub_vp",
          "sub-VP: alpha of vp_linear, sigma = 1 - alpha^2",
          {"beta_min", "beta_max", "t_min", "t_max"},
          [](const Config& c) { return std::make_shared<const SubVp>(c); }};
}

}  // namespace costate
