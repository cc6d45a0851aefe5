// DDPM's discrete schedule for the state y = x / alpha: alpha = 1, sigma = s of the betas, ln s linear between indices.
//
// What k-diffusion and diffusers' Euler, Heun, DPM2 and LMS schedulers make of a network trained on alpha x_0 + sigma eps.
// Such a network is given y / sqrt(1 + s^2).
#include "solvers/betas.h"
#include "solvers/exploding_table.h"

namespace costate {
namespace {

std::vector<double> log_s_from(const Config& c) {
  std::vector<double> log_s;
  for (const double l : log_alphas_from(c)) log_s.push_back(0.5 * std::log(-std::expm1(2 * l)) - l);
  require(std::isfinite(log_s.back()), "{}: ddpm_ve has no level of pure noise; give terminal_alpha_bar", c.where());
  return log_s;
}

}  // namespace

ScheduleType ddpm_ve_schedule() {
  return {"ddpm_ve", "discrete: the levels of ddpm for x / alpha, variance exploding", beta_keys(),
          [](const Config& c) { return std::make_shared<const ExplodingTable>(c, log_s_from(c)); }};
}

}  // namespace costate
