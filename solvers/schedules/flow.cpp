// Flow matching with straight paths: alpha = 1 - t, sigma = t, pure noise at t = 1 (Liu et al. 2023; Lipman et al. 2023).
#include <nlohmann/json.hpp>

#include "solvers/schedule.h"

namespace costate {
namespace {

class Flow final : public Schedule {
 public:
  explicit Flow(const Config& c) {
    read_times(c, 1e-3, 1);
    require(t_max <= 1, "{}: flow has t up to 1, not t_max = {}", c.where(), t_max);
  }
  [[nodiscard]] double log_alpha(double t) const override { return std::log1p(-t); }
  [[nodiscard]] double sigma(double t) const override { return t; }
  [[nodiscard]] double t_of_lambda(double lambda) const override { return 1 / (1 + std::exp(lambda)); }
  [[nodiscard]] double f(double t) const override { return -1 / (1 - t); }
  [[nodiscard]] double g2(double t) const override { return 2 * t / (1 - t); }
  [[nodiscard]] Config config() const override {
    return {{{"type", "flow"}, {"t_min", t_min}, {"t_max", t_max}}, "flow"};
  }
};

}  // namespace

ScheduleType flow_schedule() {
  return {"flow", "alpha = 1 - t, sigma = t: rectified flow", {"t_min", "t_max"}, [](const Config& c) {
            return std::make_shared<const Flow>(c);
          }};
}

}  // namespace costate
