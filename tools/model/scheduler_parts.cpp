// The shared reading of diffusers' configurations, with numpy's arithmetic where indices are rounded.
#include "tools/model/scheduler_parts.h"

#include <algorithm>
#include <cmath>

#include "solvers/beta_quantile.h"

namespace costate::diffusers {

using nlohmann::json;

Keys operator+(Keys a, const Keys& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

int train_steps(const Config& c) {
  if (c.has("trained_betas") && !c.is_null("trained_betas")) return static_cast<int>(c.numbers("trained_betas").size());
  return static_cast<int>(c.integer("num_train_timesteps", 1000));
}

json betas(const Config& c, const char* type, const BetaDefaults& defaults, bool finite) {
  json schedule = {{"type", type},
                   {"beta_schedule", c.text("beta_schedule", defaults.schedule)},
                   {"beta_start", c.number("beta_start", defaults.start)},
                   {"beta_end", c.number("beta_end", defaults.end)},
                   {"num_train_timesteps", c.integer("num_train_timesteps", 1000)}};
  if (c.has("trained_betas") && !c.is_null("trained_betas")) schedule["betas"] = c.numbers("trained_betas");
  if (c.flag("rescale_betas_zero_snr", false)) {
    schedule["rescale_betas_zero_snr"] = true;
    if (finite) schedule["terminal_alpha_bar"] = std::ldexp(1.0, -24);
  }
  return schedule;
}

Prediction prediction(const Config& c, const Keys& known) {
  const std::string name = c.choice("prediction_type", "epsilon", known);
  return name == "flow_prediction" ? Prediction::flow : prediction_from(name);
}

Correction correction(const Config& c, bool clips_if_silent) {
  if (c.flag("thresholding", false))
    return dynamic_thresholding(c.number("dynamic_thresholding_ratio", 0.995), c.number("sample_max_value", 1));
  if (c.flag("clip_sample", clips_if_silent)) return clipping(c.number("clip_sample_range", 1));
  return nullptr;
}

std::string choice(const Config& c, const std::string& key, const std::string& otherwise, const Keys& choices,
                   const Keys& aliases) {
  const std::string value = c.choice(key, otherwise, choices + aliases);
  return std::find(aliases.begin(), aliases.end(), value) == aliases.end() ? value : choices.front();
}

void refuse_set(const Config& c, const std::string& key, const std::string& why) {
  if (!c.has(key) || c.is_null(key)) return;
  const json value = json::parse(c.dump())[key];
  if (value != json(false)) c.unsupported(key, why);
}

Values timesteps(const Config& c, int steps, const Spacing& spacing) {
  const std::string name = c.choice("timestep_spacing", spacing.otherwise, {"linspace", "leading", "trailing"});
  const int total = train_steps(c), last = spacing.last > 0 ? spacing.last : total,
            parts = steps + (spacing.one_more ? 1 : 0);
  require(steps <= total, "{}: {} steps of a schedule that has {}", c.where(), steps, total);
  const auto offset = static_cast<double>(c.integer("steps_offset", 0));
  Values t;
  if (name == "trailing") {  // np.arange(last, 0, -total / steps)
    const double ratio = static_cast<double>(total) / steps, delta = (last - ratio) - last;
    const int count = static_cast<int>(std::ceil(last / ratio));
    for (int i = 0; i < count; ++i) t.push_back(std::nearbyint(last + i * delta) - 1);
  } else if (name == "leading") {
    for (int i = 0; i < steps; ++i) t.push_back((parts - 1 - i) * (last / parts) + offset);
  } else {
    const double step = parts > 1 ? static_cast<double>(last - 1) / (parts - 1) : 0;
    for (int i = 0; i < steps; ++i) {
      const double at = i == 0 && parts > 1 ? last - 1 : (parts - 1 - i) * step;
      t.push_back(spacing.whole ? std::nearbyint(at) : at);
    }
  }
  for (const double at : t)
    require(at >= 0 && at < total,
            "{}: timestep_spacing {} with {} steps and steps_offset {} asks for index {} of {}; take fewer steps or a "
            "smaller offset",
            c.where(), name, steps, offset, at, total);
  return t;
}

SigmaTable::SigmaTable(const Schedule& schedule) {
  for (int i = 0; i < schedule.steps(); ++i) sigma_.push_back(schedule.level(i).s());
}

double SigmaTable::at(double t) const {
  const auto i = static_cast<std::size_t>(t);
  if (t == static_cast<double>(i)) return sigma_[i];
  return sigma_[i] + (t - static_cast<double>(i)) * (sigma_[i + 1] - sigma_[i]);
}

double SigmaTable::t_of(double sigma) const {
  const auto above = std::upper_bound(sigma_.begin(), sigma_.end(), sigma);
  const auto i = static_cast<std::size_t>(
      std::clamp<std::ptrdiff_t>(above - sigma_.begin() - 1, 0, static_cast<std::ptrdiff_t>(sigma_.size()) - 2));
  const double part = std::log(sigma / sigma_[i]) / std::log(sigma_[i + 1] / sigma_[i]);
  return static_cast<double>(i) + std::clamp(part, 0.0, 1.0);
}

namespace {

/// steps equidistant numbers from a to b, both exactly.
Values ramp(double a, double b, int steps) {
  Values v{a};
  for (int i = 1; i < steps; ++i) v.push_back(i == steps - 1 ? b : a + static_cast<double>(i) / (steps - 1) * (b - a));
  return v;
}

}  // namespace

Values karras(double sigma_max, double sigma_min, double rho, int steps) {
  Values v = ramp(std::pow(sigma_max, 1 / rho), std::pow(sigma_min, 1 / rho), steps);
  for (double& s : v) s = std::pow(s, rho);
  return v;
}

Values exponential(double sigma_max, double sigma_min, int steps) {
  Values v = ramp(std::log(sigma_max), std::log(sigma_min), steps);
  for (double& s : v) s = std::exp(s);
  return v;
}

std::optional<Values> respaced(const Config& c, double sigma_max, double sigma_min, int steps) {
  std::vector<std::string> asked;
  for (const char* key : {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"})
    if (c.flag(key, false)) asked.emplace_back(key);
  if (asked.empty()) return std::nullopt;
  require(asked.size() == 1, "{}: {} and {} are both true; choose one", c.where(), asked[0], asked.back());
  const double most = c.number("sigma_max", sigma_max), least = c.number("sigma_min", sigma_min);
  if (asked[0] == "use_karras_sigmas") return karras(most, least, 7, steps);
  if (asked[0] != "use_beta_sigmas") return exponential(most, least, steps);
  Values v =
      ramp(0, 1, steps);  // quantiles of the beta distribution (Lee et al. 2024, "Beta sampling is all you need")
  for (double& s : v) s = least + beta_quantile(1 - s, 0.6) * (most - least);
  return v;
}

double shifted(double sigma, double shift) { return shift * sigma / (1 + (shift - 1) * sigma); }

double flow_shift(const Config& c, double otherwise, const Keys& types) {
  const std::string type = c.choice("time_shift_type", "exponential", types);
  if (!c.flag("use_dynamic_shifting", false)) return otherwise;
  require(c.has("mu"),
          "{}: use_dynamic_shifting = true wants mu, which depends on the size of the pictures; set it",
          c.where());
  const double mu = c.number("mu", 0);
  return type == "exponential" ? std::exp(mu) : mu;
}

Method churned_euler(const Config& c, bool compat) {
  if (c.number("s_churn", 0) == 0) return {"euler"};
  Method edm{"edm", {{"kind", "euler"}, {"noise_before_network", !compat}}};
  const std::pair<const char*, const char*> names[] = {
      {"s_churn", "S_churn"}, {"s_tmin", "S_min"}, {"s_tmax", "S_max"}, {"s_noise", "S_noise"}};
  for (const auto& [theirs, ours] : names)
    if (c.has(theirs)) edm.options[ours] = c.number(theirs, 0);
  return edm;
}

int solver_order(const Config& c, int otherwise) {
  const auto order = c.integer("solver_order", otherwise);
  if (order < 1 || order > 3) c.unsupported("solver_order", "supported: 1, 2, 3");
  return static_cast<int>(order);
}

Level vp_level(double t, double sigma) {
  const double alpha = 1 / std::hypot(1, sigma);
  return {t, alpha, sigma * alpha};
}

Level flow_level(double sigma) { return {sigma, 1 - sigma, sigma}; }

void take(SchedulerPlan& plan, const Method& method, const Config& c) {
  plan.sampler = method.sampler;
  plan.options = Config(method.options, c.where());
}

void finish(SchedulerPlan& plan, Level end, bool compat) {
  require(!plan.grid.empty(), "scheduler: no steps are left of its grid");
  const Level& last = plan.grid.back();
  if (std::abs(end.s() / last.s() - 1) > 1e-12) {  // of pure noise s is infinite
    plan.grid.push_back(end);
  } else if (compat) {
    plan.grid.push_back(last);
    plan.repeats = true;
  }
}

}  // namespace costate::diffusers
