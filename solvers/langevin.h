// Langevin dynamics at a fixed noise level: the corrector of predictor-corrector samplers, and annealed Langevin.
#pragma once

#include "solvers/score_sde.h"

namespace costate {

/// x' = x + h score + sqrt(2 h) z, some times. With c the decay of the forward step (1 on exploding schedules):
///   langevin   h = 2 c^2 (snr |z| / |score|)^2, norms of each sample
///   ald        h = 2 c^2 (snr sigma)^2 (annealed Langevin dynamics of NCSN)
///   fixed      h = step sigma^2
struct Langevin {
  enum class Size { langevin, ald, fixed } size = Size::langevin;
  double snr = 0.16, step = 0.1;
  int times = 1;
  bool mean_norms = false;  ///< norms averaged over the batch, as score_sde has them
  Discretization discretization = Discretization::grid;
};
std::vector<std::string> langevin_options();
Langevin langevin_from(const Config& options, Langevin::Size size);
/// Batches in which no sample's bits depend on another's.
Batching batching_of(const Langevin& method);

struct Corrected {
  Tensor y, mean;  ///< mean: without the noise of the last time
};
/// At step.from(); its noise is no part of a Brownian path, and numbered from `part`.
Corrected langevin(const Langevin& method, const Step& step, const Tensor& y, int part = 0);

}  // namespace costate
