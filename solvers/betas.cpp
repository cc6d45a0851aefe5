// Betas by name, and the product of what they leave of the signal.
#include "solvers/betas.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

namespace costate {
namespace {

using Values = std::vector<double>;

/// n equidistant numbers from a to b.
Values linspace(double a, double b, std::size_t n) {
  Values v(n, a);
  for (std::size_t i = 1; i < n; ++i) v[i] = a + (b - a) * static_cast<double>(i) / static_cast<double>(n - 1);
  return v;
}

/// (Nichol and Dhariwal 2021, section 3.2)
double cosine_abar(double t) {
  const double c = std::cos(std::numbers::pi / 2 * (t + 0.008) / 1.008);
  return c * c;
}

/// diffusers' "laplace".
double laplace_abar(double t) {
  const double lambda = -0.5 * std::copysign(1.0, 0.5 - t) * std::log(1 - 2 * std::abs(0.5 - t) + 1e-6);
  return std::sqrt(1 / (1 + std::exp(-lambda)));
}

/// beta_i = 1 - abar((i + 1) / T) / abar(i / T), at most 0.999.
Values betas_of(const std::function<double(double)>& abar, std::size_t n) {
  const auto at = [n](std::size_t i) { return static_cast<double>(i) / static_cast<double>(n); };
  Values beta(n);
  for (std::size_t i = 0; i < n; ++i) beta[i] = std::min(1 - abar(at(i + 1)) / abar(at(i)), 0.999);
  return beta;
}

Values betas_from(const Config& c) {
  const std::string name = c.choice(
      "beta_schedule", "linear", {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "quad", "exp", "laplace"});
  if (c.has("betas") && !c.is_null("betas")) return c.numbers("betas");
  const auto steps = c.integer("num_train_timesteps", 1000);
  require(steps >= 2 && steps <= 1'000'000, "{}: num_train_timesteps = {} should be between 2 and 1000000", c.where(),
          steps);
  const auto n = static_cast<std::size_t>(steps);
  const double first = c.number("beta_start", 1e-4), last = c.number("beta_end", 0.02);
  if (name == "linear") return linspace(first, last, n);
  if (name == "squaredcos_cap_v2") return betas_of(cosine_abar, n);
  if (name == "exp") return betas_of([](double t) { return std::exp(-12 * t); }, n);
  if (name == "laplace") return betas_of(laplace_abar, n);
  Values beta = name == "sigmoid" ? linspace(-6, 6, n) : linspace(std::sqrt(first), std::sqrt(last), n);
  for (auto& b : beta) b = name == "sigmoid" ? first + (last - first) / (1 + std::exp(-b)) : b * b;
  return beta;
}

/// Shifts and scales alpha so that the last one is 0 and the first stays (Lin et al. 2023, "Common diffusion noise
/// schedules and sample steps are flawed", algorithm 1): the last level is pure noise.
void rescale(Values& log_alpha) {
  const double first = std::exp(log_alpha.front()), last = std::exp(log_alpha.back());
  for (auto& l : log_alpha) l = std::log((std::exp(l) - last) * first / (first - last));
}

}  // namespace

std::vector<std::string> beta_keys() {
  return {"beta_schedule",          "beta_start",        "beta_end", "num_train_timesteps", "betas",
          "rescale_betas_zero_snr", "terminal_alpha_bar"};
}

std::vector<double> log_alphas_from(const Config& c) {
  const Values beta = betas_from(c);
  require(beta.size() >= 2, "{}: wants two betas or more, got {}", c.where(), beta.size());
  Values log_alpha;
  double sum = 0;
  for (std::size_t i = 0; i < beta.size(); ++i) {
    const bool last = i + 1 == beta.size();  // which may leave nothing of the signal
    require(beta[i] > 0 && (last ? beta[i] <= 1 : beta[i] < 1), "{}: beta[{}] = {} is not between 0 and 1", c.where(),
            i, beta[i]);
    log_alpha.push_back(sum += std::log1p(-beta[i]) / 2);
  }
  if (!c.flag("rescale_betas_zero_snr", false)) return log_alpha;
  rescale(log_alpha);
  const double terminal = c.number("terminal_alpha_bar", 0);
  require(terminal >= 0 && terminal < 1, "{}: terminal_alpha_bar = {} should be in [0, 1)", c.where(), terminal);
  if (terminal > 0) log_alpha.back() = std::log(terminal) / 2;
  return log_alpha;
}

}  // namespace costate
