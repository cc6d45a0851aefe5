// EDM (NVlabs/edm): its sampler, and the ablation sampler with the schedules of the paper's table 1. States in x.
#include <cmath>

#include "autodiff/ops/add.h"
#include "solvers/variance_preserving.h"
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

/// VP-linear through sigma(1) = 80 and sigma(1e-3) = 0.002, the ends of the other discretizations. Its beta is negative
/// below t = 2.7e-4, where no step ends but the last at t = 0, so it is no schedule to offer.
class VpThroughEnds final : public VariancePreserving {
 public:
  [[nodiscard]] double log_alpha(double t) const override { return -t * (slope_ * t / 4 + beta_min_ / 2); }
  [[nodiscard]] double f(double t) const override { return -(beta_min_ + slope_ * t) / 2; }
  [[nodiscard]] Config config() const override { return {}; }

 protected:
  [[nodiscard]] double t_of_log_alpha(double) const override { fail("not asked for here"); }

 private:
  double slope_ = 2 * (std::log1p(0.002 * 0.002) / 1e-3 - std::log1p(80.0 * 80.0)) / (1e-3 - 1);
  double beta_min_ = std::log1p(80.0 * 80.0) - slope_ / 2;
};

/// sigma(t) and s(t) of the ablation sampler together are one schedule here.
SchedulePtr schedule_of(const Config& settings) {
  const std::string schedule = settings.text("schedule", "linear"), scaling = settings.text("scaling", "none");
  const std::string type = schedule == "ve" ? "edm_ve" : schedule == "linear" ? "edm" : "vp_linear";
  if (schedule != "vp" || settings.text("discretization", "") == "vp")
    return costate::schedule_of(R"({"type": ")" + type + "\"}");
  return std::make_shared<const VpThroughEnds>();
}

/// EDM's samplers draw in every step, also where they add nothing.
Sampler churned(const FixtureCase& c) {
  Sampler sampler = sampler_of(
      c, "edm",
      fmt::format(R"({{"S_churn": {}, "S_min": {}, "S_max": {}, "S_noise": {}, "clock": "{}"}})",
                  c.settings.number("S_churn", 0), c.settings.number("S_min", 0), c.settings.number("S_max", 1e9),
                  c.settings.number("S_noise", 1), c.stem == "edm-ablation" ? "t" : "s"));
  sampler.schedule = schedule_of(c.settings);
  sampler.noise = noise_by_step(c);
  return sampler;
}

/// The ablation sampler finds t again from sigma(t) before each step, and where that rounds up it adds z sqrt(sigma^2 - sigma^2),
/// with a difference of one rounding, 4e-16, and a root of 2e-8. The level that it found is the one that it told its network.
Stepper with_noise_of_rounding(const FixtureCase& c, const Stepper& stepper) {
  if (!c.has("call_sigma") || !c.has("noise")) return stepper;
  const auto sigma = c.read("call_sigma").to_vector(), alpha = c.read("call_alpha").to_vector();
  Stepper noisy = stepper;
  noisy.advance = [stepper, sigma, alpha](const Step& step, const State& state) {
    const auto call = static_cast<std::size_t>(step.index * stepper.evaluations);
    const double s = step.from().s(), up = std::sqrt(std::max(std::pow(sigma[call] / alpha[call], 2) - s * s, 0.0));
    return stepper.advance(step, {lincomb(1, state.y, up, step.extra_normal(state.y)), {}});
  };
  return noisy;
}

Replay replay(const FixtureCase& c) {
  if (c.settings.number("S_churn", 0) > 0) return states_of(c, churned(c));
  Sampler sampler = sampler_of(c, c.settings.text("solver", "heun"));
  if (c.stem == "edm-ablation") {
    const std::string alpha =
        c.settings.has("alpha") ? fmt::format(R"(, "alpha": {})", c.settings.number("alpha", 1)) : "";
    sampler.stepper = with_noise_of_rounding(c, stepper_of(sampler.stepper.name, R"({"clock": "t")" + alpha + "}"));
    sampler.noise = c.has("noise") ? noise_by_step(c) : no_noise();
  }
  sampler.schedule = schedule_of(c.settings);
  return states_of(c, sampler);
}

}  // namespace

Library edm_library() { return {.files = "edm-", .replay = replay}; }

}  // namespace costate
