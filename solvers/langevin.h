// Langevin dynamics at a fixed noise level: the corrector of predictor-corrector samplers, and annealed Langevin.
#pragma once

#include "solvers/particles.h"
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
  /// Riemannian: with the metric's inverse M = 1 + curvature (x / sigma)^2, element by element,
  /// x' = x + h (M score + dM/dx) + sqrt(2 h M) z, whose stationary density is the same.
  double curvature = 0;
  Particles flow = Particles::none;  ///< x' = x + h direction of the batch, without noise
  double bandwidth = 1;              ///< of its kernel, in sigma
  Discretization discretization = Discretization::grid;
};
std::vector<std::string> langevin_options();  ///< that a corrector has, too
Langevin langevin_from(const Config& options, Langevin::Size size);
/// Batches in which no sample's bits depend on another's.
Batching batching_of(const Langevin& method);

struct Corrected {
  Tensor y, mean;  ///< mean: without the noise of the last time
};
/// At step.from(); its noise is no part of a Brownian path, and numbered from `part`.
Corrected langevin(const Langevin& method, const Step& step, const Tensor& y, int part = 0);

}  // namespace costate
