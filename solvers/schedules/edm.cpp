// EDM: alpha = 1, sigma = t (Karras et al. 2022, "Elucidating the design space of diffusion-based generative models").
#include <nlohmann/json.hpp>

#include "solvers/schedule.h"

namespace costate {
namespace {

class Edm final : public Schedule {
 public:
  explicit Edm(const Config& c) {
    t_min = c.number("sigma_min", 0.002);
    t_max = c.number("sigma_max", 80);
    require(t_min > 0 && t_max > t_min, "{}: edm wants 0 < sigma_min < sigma_max, got {} and {}", c.where(), t_min,
            t_max);
  }
  [[nodiscard]] double log_alpha(double) const override { return 0; }
  [[nodiscard]] double sigma(double t) const override { return t; }
  [[nodiscard]] double t_of_lambda(double lambda) const override { return std::exp(-lambda); }
  [[nodiscard]] double prior_std() const override { return t_max; }
  [[nodiscard]] double f(double) const override { return 0; }
  [[nodiscard]] double g2(double t) const override { return 2 * t; }
  [[nodiscard]] Config config() const override {
    return {{{"type", "edm"}, {"sigma_min", t_min}, {"sigma_max", t_max}}, "edm"};
  }
};

}  // namespace

ScheduleType edm_schedule() {
  return {"edm", "alpha = 1 and sigma = t", {"sigma_min", "sigma_max"}, [](const Config& c) {
            return std::make_shared<const Edm>(c);
          }};
}

}  // namespace costate
