// The levels of iDDPM in EDM's form: alpha = 1, sigma = u_j (Karras et al. 2022, table 1 and appendix C.3.3).
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numbers>

#include "solvers/schedule.h"

namespace costate {
namespace {

class Iddpm final : public Schedule {
 public:
  /// u_M = 0, u_(j-1) = sqrt((u_j^2 + 1) / max(abar(j-1) / abar(j), C_1) - 1), abar(j) = sin^2(pi/2 j / (M (C_2 + 1)));
  /// used from j = j_0 on. t counts from the clean end, as the network's input does.
  explicit Iddpm(const Config& c) : given_(c) {
    const auto m = c.integer("M", 1000), j0 = c.integer("j_0", 8);
    const double c1 = c.number("C_1", 1e-3), c2 = c.number("C_2", 8e-3);
    require(m >= 2 && m <= 1'000'000 && j0 >= 0 && j0 < m - 1, "{}: iddpm wants 0 <= j_0 < M - 1, got {} and {}",
            c.where(), j0, m);
    const auto abar = [&](std::int64_t j) {
      const double v = std::sin(std::numbers::pi / 2 * static_cast<double>(j) / (static_cast<double>(m) * (c2 + 1)));
      return v * v;
    };
    double u = 0;
    for (auto j = m; j > j0; --j) {
      u = std::sqrt((u * u + 1) / std::max(abar(j - 1) / abar(j), c1) - 1);
      log_sigma_.push_back(std::log(u));
    }
    t_min = 0;
    t_max = static_cast<double>(log_sigma_.size() - 1);
  }
  [[nodiscard]] double log_alpha(double) const override { return 0; }
  [[nodiscard]] double sigma(double t) const override {
    const std::size_t i = segment(t);
    const double part = t - static_cast<double>(i);
    return std::exp(part == 0 ? log_sigma_[i] : log_sigma_[i] + part * (log_sigma_[i + 1] - log_sigma_[i]));
  }
  [[nodiscard]] double t_of_lambda(double lambda) const override {
    const auto above = std::lower_bound(log_sigma_.begin() + 1, log_sigma_.end() - 1, -lambda);
    const auto i = static_cast<std::size_t>(above - log_sigma_.begin()) - 1;
    return static_cast<double>(i) + (-lambda - log_sigma_[i]) / (log_sigma_[i + 1] - log_sigma_[i]);
  }
  [[nodiscard]] double prior_std() const override { return sigma(t_max); }
  [[nodiscard]] double f(double) const override { return 0; }
  [[nodiscard]] double g2(double t) const override {
    const std::size_t i = segment(t);
    return 2 * (log_sigma_[i + 1] - log_sigma_[i]) * sigma(t) * sigma(t);
  }
  [[nodiscard]] int steps() const override { return static_cast<int>(log_sigma_.size()); }
  [[nodiscard]] Config config() const override { return given_; }

 private:
  /// i with i <= t <= i + 1; the first and the last segment go on outside.
  [[nodiscard]] std::size_t segment(double t) const {
    return static_cast<std::size_t>(std::clamp(std::floor(t), 0.0, static_cast<double>(log_sigma_.size() - 2)));
  }

  Config given_;
  std::vector<double> log_sigma_;  // by t; linear in between
};

}  // namespace

ScheduleType iddpm_schedule() {
  return {"iddpm",
          "discrete: alpha = 1, sigma the u_j of EDM's iDDPM; t = M - 1 - j",
          {"M", "j_0", "C_1", "C_2"},
          [](const Config& c) { return std::make_shared<const Iddpm>(c); }};
}

}  // namespace costate
