// Step-size control of samplers that choose their own steps, in lambda, between two levels of the grid.
#pragma once

#include <functional>

#include "solvers/stepper.h"

namespace costate {

/// Options: rtol, atol, h_init (first step in lambda), controller (pid or original), pcoeff, icoeff, dcoeff.
struct Control {
  double rtol = 0.05, atol = 0.0078, h_init = 0.05;
  bool pid = true;
  double pcoeff = 0, icoeff = 1, dcoeff = 0;
};
std::vector<std::string> control_options(const std::vector<std::string>& more = {});
Control control_from(const Config& options, const Control& otherwise);

/// One trial step: y at `to` and another estimate, of lower order, to measure the error by.
struct Trial {
  Tensor y, lower;
  Tensors slopes = {};  ///< what dense output is made of
};
/// The state at the part theta of an accepted step of size h (in lambda) from y, of its slopes.
using DenseOutput = std::function<Tensor(double theta, double h, const Tensor& y, const Tensors& slopes)>;
using TrialStep = std::function<Trial(const Step& step, const Tensor& y, const Level& from, const Level& to)>;

/// A stepper that takes as many trial steps from one level of the grid to the next as the tolerance asks for; the last one
/// lands on the level, and the next level begins with the step size found. The error is the root mean square over the
/// batch of (y - lower) / max(atol, rtol max(|lower|, |the lower before|)) in x: it couples the samples of a batch.
///   original   accepted where the error is at most 1; h <- 0.9 h error^(-1/order) (Lu et al. 2022, appendix C); the error
///              is the largest of the samples'
///   pid        h <- h limit(e_n^b1 e_(n-1)^b2 e_(n-2)^b3) with e = 1 / error, limit(v) = 1 + atan(v - 1), accepted where
///              that factor is at least 0.81 (Soderlind 2003, as k-diffusion has it)
/// Step sizes are constants to a tape. A step to s = 0 is the denoised state.
///
/// With `dense` steps pass the levels of the grid, and states there are interpolated: many levels cost no evaluations. Only the
/// last level that is not s = 0 is landed on.
Stepper adaptive(const Control& control, int order, TrialStep trial, DenseOutput dense = nullptr);

}  // namespace costate
