// From x_0 back to x_T: the exact inverse of a reversible method, or the ODE solved upwards.
#pragma once

#include "solvers/sampler.h"

namespace costate {

/// Whether `encode` takes the stepper: it has an inverse, or draws no noise.
inline bool can_encode(const Stepper& s) { return s.invert != nullptr || s.eta == 0; }

/// The state at the grid's first level that leads to x_0 (n, ...). A stepper with an inverse takes its steps back, so
/// that `decode` returns x_0 but for rounding; the state's memory (a second copy, or the next state) is part of it. Any
/// other deterministic stepper runs over the grid upwards: an ODE solution of its order, and decoding has its error
/// twice; `targets` then say where the steps up end, the last one first. Where sigma = 0 the first step up takes eps at the level it goes to, which every network knows. Throws for
/// steppers that draw noise: see recover_noise for those.
State encode(const Sampler& sampler, const Tensor& x_0, const Tensors& p, const Progress& progress = {});
/// How the states between x_T and x_0 are made that a stochastic sampler is to follow.
enum class Way {
  posterior,    ///< the sampler's own steps with x_0 known: x_T from q(x_T | x_0), then q(x' | x, x_0) (CycleDiffusion)
  independent,  ///< every state from q(x | x_0) by itself (Huberman-Spiegelglas, Kulikov and Michaeli 2024)
};
/// The states x of all levels of the grid, the last one x_0 itself. The draw for x_T has the step -1.
std::vector<Tensor> states_to(const Sampler& sampler, const Tensor& x_0, Way way, const Noise& noise);
/// The noise (draws, n, ...) with which the sampler goes through these states: as recorded noise it leads from the first
/// to the last, but for rounding. A step that draws none goes where it goes. Throws where a step draws twice or evaluates the network
/// after its draw.
Tensor recover_noise(const Sampler& sampler, const std::vector<Tensor>& states, const Tensors& p,
                     const Progress& progress = {});
/// x_0 of an encoded state; `each` as in sample().
Tensor decode(const Sampler& sampler, const State& start, const Tensors& p, const Progress& progress = {},
              const std::function<void(int, const Tensor&)>& each = {});
/// x_T of an encoded state.
Tensor start_of(const Sampler& sampler, const State& start);

}  // namespace costate
