// What diffusers' scheduler classes share: betas, corrections, timesteps and spacings of sigma.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "tools/model/scheduler.h"

namespace costate::diffusers {

using Keys = std::vector<std::string>;
using Values = std::vector<double>;
Keys operator+(Keys a, const Keys& b);

/// Keys of configurations that go together.
inline const Keys beta_keys = {"num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"};
inline const Keys threshold_keys = {"thresholding", "dynamic_thresholding_ratio", "sample_max_value"};
inline const Keys clip_keys = {"clip_sample", "clip_sample_range"};
inline const Keys spacing_keys = {"timestep_spacing", "steps_offset"};
inline const Keys sigma_keys = {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"};
inline const Keys flow_keys = {"use_flow_sigmas", "flow_shift", "use_dynamic_shifting", "time_shift_type"};

/// What a class does where its configuration is silent.
struct BetaDefaults {
  double start = 1e-4, end = 0.02;
  const char* schedule = "linear";
};
/// A schedule of type ddpm or ddpm_ve. With `finite` rescale_betas_zero_snr ends at alpha^2 = 2^-24, not at 0.
nlohmann::json betas(const Config& c, const char* type, const BetaDefaults& defaults = {}, bool finite = false);
int train_steps(const Config& c);

/// prediction_type, which must be one of `known`: epsilon, sample, v_prediction, flow_prediction.
Prediction prediction(const Config& c, const Keys& known);
/// Thresholding, or else clipping, as far as the configuration asks for it.
Correction correction(const Config& c, bool clips_if_silent);
/// The text of a key that must be one of `choices`; `aliases` are other schedulers' values that stand for the first choice.
std::string choice(const Config& c, const std::string& key, const std::string& otherwise, const Keys& choices,
                   const Keys& aliases);
/// Throws, naming the key, if it is set and true, or not null.
void refuse_set(const Config& c, const std::string& key, const std::string& why);

/// How a class reads timestep_spacing.
struct Spacing {
  const char* otherwise = "leading";
  bool one_more = false;  ///< linspace and leading divide by N + 1 and leave out the clean end
  bool whole = true;      ///< linspace rounds
  int last = 0;           ///< the noisiest index and one; 0: num_train_timesteps
};
/// Indices in falling order; each within the schedule.
Values timesteps(const Config& c, int steps, const Spacing& spacing);

/// sigma / alpha of a discrete schedule by index.
class SigmaTable {
 public:
  explicit SigmaTable(const Schedule& schedule);
  [[nodiscard]] double at(double t) const;        ///< linear in sigma
  [[nodiscard]] double t_of(double sigma) const;  ///< linear in ln sigma, within the table
  [[nodiscard]] double first() const { return sigma_.front(); }
  [[nodiscard]] double last() const { return sigma_.back(); }

 private:
  Values sigma_;
};

/// The sigmas that use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas or use_lu_lambdas put between two ends (or between
/// sigma_max and sigma_min of the configuration); nothing where none is asked for.
std::optional<Values> respaced(const Config& c, double sigma_max, double sigma_min, int steps);
Values karras(double sigma_max, double sigma_min, double rho, int steps);
Values exponential(double sigma_max, double sigma_min, int steps);

/// shift sigma / (1 + (shift - 1) sigma)
double shifted(double sigma, double shift);
/// The shift of use_dynamic_shifting for the argument mu; `otherwise` where it is off.
double flow_shift(const Config& c, double otherwise, const Keys& types);

/// A sampler and its options.
struct Method {
  std::string sampler;
  nlohmann::json options = nlohmann::json::object();
};
inline const Keys churn_arguments = {"s_churn", "s_tmin", "s_tmax", "s_noise"};
/// Euler, after churn where it is asked for. diffusers adds its noise after it has asked the network, k-diffusion and EDM
/// before.
Method churned_euler(const Config& c, bool compat);
int solver_order(const Config& c, int otherwise);  ///< 1, 2 or 3

Level vp_level(double t, double sigma);
Level flow_level(double sigma);  ///< t = sigma
void take(SchedulerPlan& plan, const Method& method, const Config& c);
/// Adds the last level. Where it repeats the one before, it is left out, or with `compat` kept as a step that changes nothing.
void finish(SchedulerPlan& plan, Level end, bool compat);

}  // namespace costate::diffusers
