// Discrete schedules of DDPM and diffusers: an array of betas, ln alpha interpolated linearly between its steps.
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
  [[nodiscard]] double log_alpha(double t) const override { return log_alpha_.at(t); }
  [[nodiscard]] double f(double t) const override { return log_alpha_.slope(t); }
  [[nodiscard]] int steps() const override { return static_cast<int>(log_alpha_.size()); }
  [[nodiscard]] Config config() const override { return given_; }

 protected:
  [[nodiscard]] double t_of_log_alpha(double log_alpha) const override { return log_alpha_.index_of(log_alpha); }

 private:
  Config given_;
  LinearTable log_alpha_;
};

}  // namespace

ScheduleType ddpm_schedule() {
  return {"ddpm", "discrete: an array of betas, variance preserving", beta_keys(),
          [](const Config& c) { return std::make_shared<const Ddpm>(c); }};
}

}  // namespace costate
