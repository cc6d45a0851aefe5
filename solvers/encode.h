// From x_0 back to x_T: the exact inverse of a reversible method, or the ODE solved upwards.
#pragma once

#include "solvers/sampler.h"

namespace costate {

/// The state at the grid's first level that leads to x_0 (n, ...). A stepper with an inverse takes its steps back, so
/// that `decode` returns x_0 but for rounding; the state's memory (a second copy, or the next state) is part of it. Any
/// other deterministic stepper runs over the grid upwards: an ODE solution of its order, and decoding has its error
/// twice. Where sigma = 0 the first step up takes eps at the level it goes to, which every network knows. Throws for
/// steppers that draw noise: see recover_noise for those.
State encode(const Sampler& sampler, const Tensor& x_0, const Tensors& p, const Progress& progress = {});
/// x_0 of an encoded state.
Tensor decode(const Sampler& sampler, const State& start, const Tensors& p, const Progress& progress = {});
/// x_T of an encoded state.
Tensor start_of(const Sampler& sampler, const State& start);

}  // namespace costate
