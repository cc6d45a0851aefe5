// The four preconditionings of EDM (Karras et al. 2022, table 1): a bare network F made a denoiser
// D(x; sigma) = c_skip x + c_out F(c_in x, c_noise) of x = x_0 + sigma eps.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/tensor.h"

namespace costate {

struct Preconditioning {
  enum class Kind { edm, vp, ve, iddpm };

  struct Coefficients {
    double skip, out, in, noise;
  };

  Kind kind = Kind::edm;
  double sigma_data = 0.5;               ///< edm
  double beta_d = 19.9, beta_min = 0.1;  ///< vp
  std::int64_t steps = 1000;             ///< M of vp and iddpm
  double sigma_min = 0.002, sigma_max = 80;

  /// From `precond` (a short or the class's name) or `class_name` (as training_options.json has it).
  explicit Preconditioning(const Config& config);
  Preconditioning() = default;

  /// Least and largest sigma that samplers take. iddpm's are those of its levels u but the last, which is 0: below, it would be told
  /// a step that it was never trained on.
  [[nodiscard]] std::pair<double, double> range(const std::vector<double>& levels) const;

  /// `levels` are iddpm's noise levels u (M + 1), falling; unused by the others.
  [[nodiscard]] Coefficients operator()(double sigma, const std::vector<double>& levels) const;
};

/// x / sqrt(1 + sigma^2) for a sigma a row: what variance-preserving networks read, and `Scaled` ones of smalldiffusion.
[[nodiscard]] Tensor unit_scale(const Tensor& x, const std::vector<double>& sigma);

}  // namespace costate
