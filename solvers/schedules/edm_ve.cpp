// VE in EDM's form: alpha = 1 and t = sigma^2 (Karras et al. 2022, table 1, column VE).
#include <nlohmann/json.hpp>

#include "solvers/schedule.h"

namespace costate {
namespace {

class EdmVe final : public Schedule {
 public:
  explicit EdmVe(const Config& c) {
    const double least = c.number("sigma_min", 0.02), most = c.number("sigma_max", 100);
    require(least > 0 && most > least, "{}: edm_ve wants 0 < sigma_min < sigma_max, got {} and {}", c.where(), least,
            most);
    t_min = least * least;
    t_max = most * most;
  }
  [[nodiscard]] double log_alpha(double) const override { return 0; }
  [[nodiscard]] double sigma(double t) const override { return std::sqrt(t); }
  [[nodiscard]] double t_of_lambda(double lambda) const override { return std::exp(-2 * lambda); }
  [[nodiscard]] double prior_std() const override { return sigma(t_max); }
  [[nodiscard]] double f(double) const override { return 0; }
  [[nodiscard]] double g2(double) const override { return 1; }
  [[nodiscard]] Config config() const override {
    return {{{"type", "edm_ve"}, {"sigma_min", sigma(t_min)}, {"sigma_max", sigma(t_max)}}, "edm_ve"};
  }
};

}  // namespace

ScheduleType edm_ve_schedule() {
  return {"edm_ve", "alpha = 1, sigma = sqrt t", {"sigma_min", "sigma_max"}, [](const Config& c) {
            return std::make_shared<const EdmVe>(c);
          }};
}

}  // namespace costate
