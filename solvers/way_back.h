// What the files of solvers/adjoints share: the run forward, the two ends of the way back, and one exact step back.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "solvers/adjoint.h"

namespace costate {

/// Runs the sampler, shows every state to `visit` and returns the running cost (undefined without one). Progress counts it
/// as the first half of the work.
Tensor walk_forward(const GradientProblem& problem, const std::function<void(int, const State&)>& visit);
/// Reports step `done` of `steps` of the second half.
void report_back(const GradientProblem& problem, int done, int steps);

/// Cotangents of {y, memory..., p...}, undefined where zero: what an exact way back carries.
Tensors end_cotangents(const GradientProblem& problem, const State& last, const Tensor& a_0);
/// One step of the sampler back, running cost included: `a` holds the cotangents after step `index` and receives those
/// before it. `state` is the state before the step, `name` the method's: see require_finite_step, thrown when `late` looks next.
void pull_step(const GradientProblem& problem, int index, const State& state, Tensors& a, const std::string& name,
               LateCheck& late);
/// What end_cotangents and pull_step have arrived at.
Pulled pulled_from(const GradientProblem& problem, const Tensors& a);

/// Throws for a problem with levels for a continuous adjoint: this one differentiates the sampler's own steps.
void refuse_adjoint_grid(const GradientProblem& problem, const char* name);

/// Throws for a NaN or an infinity in the cotangent after a step back, with the step, its times and the norm of the state.
void require_finite_step(const std::string& name, int done, int steps, const Level& from, const Level& to,
                         const Tensor& y, const Tensor& a,
                         const char* remedy = "Take checkpointed, or more and shorter steps of the adjoint");

/// The cotangent of the canonical state and of the parameters on the way back of a continuous adjoint.
struct Cotangent {
  Tensor y = {};
  Tensors p = {};
};
/// Of the last state, from that of x_0.
Cotangent clean_end(const GradientProblem& problem, const Tensor& a_0);
Pulled pulled_from(const GradientProblem& problem, const Cotangent& a);

}  // namespace costate
