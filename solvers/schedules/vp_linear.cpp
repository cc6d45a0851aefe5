// The variance-preserving schedule with beta linear in t (Song et al. 2021, "Score-based ... SDEs", appendix C).
#include <nlohmann/json.hpp>

#include "solvers/linear_beta.h"
#include "solvers/variance_preserving.h"

namespace costate {
namespace {

class VpLinear final : public VariancePreserving {
 public:
  explicit VpLinear(const Config& c) : beta_(c) { read_times(c, 1e-3, 1); }
  [[nodiscard]] double log_alpha(double t) const override { return beta_.log_alpha(t); }
  [[nodiscard]] double f(double t) const override { return -beta_.beta(t) / 2; }
  [[nodiscard]] Config config() const override {
    return {{{"type", "vp_linear"},
             {"beta_min", beta_.beta_min},
             {"beta_max", beta_.beta_max},
             {"t_min", t_min},
             {"t_max", t_max}},
            "vp_linear"};
  }

 protected:
  [[nodiscard]] double t_of_log_alpha(double log_alpha) const override { return beta_.t_of(log_alpha); }

 private:
  LinearBeta beta_;
};

}  // namespace

ScheduleType vp_linear_schedule() {
  return {"vp_linear",
          "variance preserving, beta linear in t",
          {"beta_min", "beta_max", "t_min", "t_max"},
          [](const Config& c) { return std::make_shared<const VpLinear>(c); }};
}

}  // namespace costate
