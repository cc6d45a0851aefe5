// What the stochastic steppers share: the ancestral split of a step, the data-form step of the SDE, and their options.
#pragma once

#include "solvers/stepper.h"

namespace costate {

/// A step from s to s' as a deterministic one to `down` and noise of deviation `up`: down^2 + up^2 = s'^2. eta = 1 is
/// DDPM's posterior, 0 the ODE (Karras' k-diffusion, get_ancestral_step).
struct Ancestral {
  double down = 0, up = 0;
};
Ancestral ancestral(double from, double to, double eta);
/// y + up z
Tensor add_noise(const Step& step, const Tensor& y, double up, int part = 0);

/// The exact step of dy = ((1 + e) / s) (y - x_0) ds + noise of variance e d(s^2) for a constant x_0, e the option eta, as
/// k-diffusion has it: e is the square of the share Stepper::eta.
///   y' = keep y + (1 - keep) x_0 + up z, keep = (s'/s)^(1 + e), up = s' sqrt(1 - (s'/s)^(2 e))
/// From pure noise (s infinite) with e > 0: keep = 0, up = s'.
struct DataStep {
  double keep = 0, up = 0;
  double h = 0;  ///< (1 + e) (lambda' - lambda); infinite at s' = 0 and from pure noise
};
DataStep data_step(const Level& from, const Level& to, double eta);

/// Option `eta`: between 0 and 1.
double eta_from(const Config& options, double if_absent = 1);
/// `like` with a step by `ancestral` that reads option `eta`, 1 if absent. Its order is for eta = 0; with noise it is 1.
Stepper with_eta(const Config& options, Stepper like,
                 std::function<State(double eta, const Step& step, const State& state)> advance);
/// The same for steps by data_step, whose eta is the square of the share.
Stepper with_squared_eta(const Config& options, Stepper like,
                         std::function<State(double eta, const Step& step, const State& state)> advance);

}  // namespace costate
