// The betas that discrete schedules are given by, and what a configuration says about them.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"

namespace costate {

/// Keys of a configuration that `log_alphas_from` reads:
///   betas                   given; else
///   beta_schedule           linear, scaled_linear, squaredcos_cap_v2, sigmoid, quad, exp or laplace, with
///   beta_start, beta_end    and
///   num_train_timesteps     betas
///   rescale_betas_zero_snr  alpha is shifted and scaled so that the last one is 0
///   terminal_alpha_bar      ... and then made alpha^2 = this one, which keeps it a number (diffusers has 2^-24)
std::vector<std::string> beta_keys();
/// After step i: ln sqrt((1 - beta_0) ... (1 - beta_i)).
std::vector<double> log_alphas_from(const Config& config);

}  // namespace costate
