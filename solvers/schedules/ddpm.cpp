// Discrete schedules of DDPM and diffusers: an array of betas, ln alpha interpolated linearly between its steps.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numbers>

#include "solvers/variance_preserving.h"

namespace costate {
namespace {

using Values = std::vector<double>;

/// n equidistant numbers from a to b.
Values linspace(double a, double b, std::size_t n) {
  Values v(n, a);
  for (std::size_t i = 1; i < n; ++i) v[i] = a + (b - a) * static_cast<double>(i) / static_cast<double>(n - 1);
  return v;
}

/// beta_i = 1 - abar((i + 1) / T) / abar(i / T), at most 0.999 (Nichol and Dhariwal 2021, section 3.2).
Values cosine_betas(std::size_t n) {
  const auto abar = [n](std::size_t i) {
    const double c = std::cos(std::numbers::pi / 2 * (static_cast<double>(i) / static_cast<double>(n) + 0.008) / 1.008);
    return c * c;
  };
  Values beta(n);
  for (std::size_t i = 0; i < n; ++i) beta[i] = std::min(1 - abar(i + 1) / abar(i), 0.999);
  return beta;
}

Values betas_from(const Config& c) {
  const std::string name =
      c.choice("beta_schedule", "linear", {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "quad"});
  if (c.has("betas") && !c.is_null("betas")) return c.numbers("betas");
  const auto steps = c.integer("num_train_timesteps", 1000);
  require(steps >= 2 && steps <= 1'000'000, "{}: num_train_timesteps = {} should be between 2 and 1000000", c.where(),
          steps);
  const auto n = static_cast<std::size_t>(steps);
  const double first = c.number("beta_start", 1e-4), last = c.number("beta_end", 0.02);
  if (name == "linear") return linspace(first, last, n);
  if (name == "squaredcos_cap_v2") return cosine_betas(n);
  Values beta = name == "sigmoid" ? linspace(-6, 6, n) : linspace(std::sqrt(first), std::sqrt(last), n);
  for (auto& b : beta) b = name == "sigmoid" ? first + (last - first) / (1 + std::exp(-b)) : b * b;
  return beta;
}

class Ddpm final : public VariancePreserving {
 public:
  explicit Ddpm(const Config& c) : given_(c) {
    const Values beta = betas_from(c);
    require(beta.size() >= 2, "{}: ddpm wants two betas or more, got {}", c.where(), beta.size());
    double sum = 0;
    for (std::size_t i = 0; i < beta.size(); ++i) {
      require(beta[i] > 0 && beta[i] < 1, "{}: beta[{}] = {} is not between 0 and 1 (at 1 alpha would be 0)", c.where(),
              i, beta[i]);
      log_alpha_.push_back(sum += std::log1p(-beta[i]) / 2);
    }
    if (c.flag("rescale_betas_zero_snr", false)) rescale();
    t_min = 0;
    t_max = static_cast<double>(log_alpha_.size() - 1);
  }
  [[nodiscard]] double log_alpha(double t) const override {
    const std::size_t i = segment(t);
    const double part = t - static_cast<double>(i);
    if (part == 0 || part == 1) return log_alpha_[i + static_cast<std::size_t>(part)];
    return log_alpha_[i] + part * (log_alpha_[i + 1] - log_alpha_[i]);
  }
  /// The slope of the segment that begins at t; of the last one at the end.
  [[nodiscard]] double f(double t) const override { return log_alpha_[segment(t) + 1] - log_alpha_[segment(t)]; }
  [[nodiscard]] int steps() const override { return static_cast<int>(log_alpha_.size()); }
  [[nodiscard]] Config config() const override { return given_; }

 protected:
  [[nodiscard]] double t_of_log_alpha(double log_alpha) const override {
    const auto above = std::lower_bound(log_alpha_.begin() + 1, log_alpha_.end() - 1, log_alpha, std::greater<>());
    const auto i = static_cast<std::size_t>(above - log_alpha_.begin()) - 1;
    return static_cast<double>(i) + (log_alpha - log_alpha_[i]) / (log_alpha_[i + 1] - log_alpha_[i]);
  }

 private:
  /// i with i <= t <= i + 1; the first and the last segment go on outside.
  [[nodiscard]] std::size_t segment(double t) const {
    return static_cast<std::size_t>(std::clamp(std::floor(t), 0.0, static_cast<double>(log_alpha_.size() - 2)));
  }
  /// Shifts and scales alpha so that the last one is 0 and the first stays (Lin et al. 2023, "Common diffusion noise
  /// schedules and sample steps are flawed", algorithm 1): the last level is pure noise.
  void rescale() {
    const double first = std::exp(log_alpha_.front()), last = std::exp(log_alpha_.back());
    for (auto& l : log_alpha_) l = std::log((std::exp(l) - last) * first / (first - last));
  }

  Config given_;
  Values log_alpha_;  // after step i: ln sqrt((1 - beta_0) ... (1 - beta_i))
};

}  // namespace

ScheduleType ddpm_schedule() {
  return {"ddpm",
          "discrete: an array of betas, variance preserving",
          {"beta_schedule", "beta_start", "beta_end", "num_train_timesteps", "betas", "rescale_betas_zero_snr"},
          [](const Config& c) { return std::make_shared<const Ddpm>(c); }};
}

}  // namespace costate
