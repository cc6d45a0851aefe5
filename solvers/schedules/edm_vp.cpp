// VP in EDM's form: alpha = 1 and sigma the sigma / alpha of VP-linear (Karras et al. 2022, table 1, column VP).
#include <nlohmann/json.hpp>

#include "solvers/linear_beta.h"
#include "solvers/schedule.h"

namespace costate {
namespace {

class EdmVp final : public Schedule {
 public:
  explicit EdmVp(const Config& c) : beta_(c) { read_times(c, 1e-3, 1); }
  [[nodiscard]] double log_alpha(double) const override { return 0; }
  [[nodiscard]] double sigma(double t) const override { return std::sqrt(std::expm1(-2 * beta_.log_alpha(t))); }
  [[nodiscard]] double t_of_lambda(double lambda) const override {
    return beta_.t_of(-std::log1p(std::exp(-2 * lambda)) / 2);
  }
  [[nodiscard]] double prior_std() const override { return sigma(t_max); }
  [[nodiscard]] double f(double) const override { return 0; }
  [[nodiscard]] double g2(double t) const override { return beta_.beta(t) * std::exp(-2 * beta_.log_alpha(t)); }
  [[nodiscard]] Config config() const override {
    return {{{"type", "edm_vp"},
             {"beta_min", beta_.beta_min},
             {"beta_max", beta_.beta_max},
             {"t_min", t_min},
             {"t_max", t_max}},
            "edm_vp"};
  }

 private:
  LinearBeta beta_;
};

}  // namespace

ScheduleType edm_vp_schedule() {
  return {"edm_vp",
          "alpha = 1, sigma = sqrt(exp(int beta) - 1): vp_linear without its scaling",
          {"beta_min", "beta_max", "t_min", "t_max"},
          [](const Config& c) { return std::make_shared<const EdmVp>(c); }};
}

}  // namespace costate
