// DDPM's discrete schedule for the state y = x / alpha: alpha = 1, sigma = s of the betas, ln s linear between indices.
#include <cmath>

#include "solvers/betas.h"
#include "solvers/linear_table.h"
#include "solvers/schedule.h"

namespace costate {
namespace {

std::vector<double> log_s_from(const Config& c) {
  std::vector<double> log_s;
  for (const double l : log_alphas_from(c)) log_s.push_back(0.5 * std::log(-std::expm1(2 * l)) - l);
  require(std::isfinite(log_s.back()), "{}: ddpm_ve has no level of pure noise; give terminal_alpha_bar", c.where());
  return log_s;
}

/// What k-diffusion and diffusers' Euler, Heun, DPM2 and LMS schedulers make of a network trained on alpha x_0 + sigma eps.
/// Such a network is given y / sqrt(1 + s^2).
class DdpmVe final : public Schedule {
 public:
  explicit DdpmVe(const Config& c) : given_(c), log_s_(log_s_from(c)) {
    t_min = 0;
    t_max = static_cast<double>(log_s_.size() - 1);
  }
  [[nodiscard]] double log_alpha(double) const override { return 0; }
  [[nodiscard]] double sigma(double t) const override { return std::exp(log_s_.at(t)); }
  [[nodiscard]] double t_of_lambda(double lambda) const override { return log_s_.index_of(-lambda); }
  [[nodiscard]] double prior_std() const override { return sigma(t_max); }
  [[nodiscard]] double f(double) const override { return 0; }
  [[nodiscard]] double g2(double t) const override { return 2 * sigma(t) * sigma(t) * log_s_.slope(t); }
  [[nodiscard]] int steps() const override { return static_cast<int>(log_s_.size()); }
  [[nodiscard]] Config config() const override { return given_; }

 private:
  Config given_;
  LinearTable log_s_;
};

}  // namespace

ScheduleType ddpm_ve_schedule() {
  return {"ddpm_ve", "discrete: the levels of ddpm for x / alpha, variance exploding", beta_keys(),
          [](const Config& c) { return std::make_shared<const DdpmVe>(c); }};
}

}  // namespace costate
