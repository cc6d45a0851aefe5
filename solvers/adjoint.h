// Adjoints: gradients of a loss of x_0 in x_T and in the network's parameters. One file of solvers/adjoints each.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autodiff/tape.h"
#include "solvers/sampler.h"

namespace costate {

/// A scalar (shape ()) loss of x_0, written with ops.
using Loss = std::function<Tensor(const Tensor& x_0)>;

struct GradientProblem {
  const Sampler& sampler;
  Tensor x_T;
  Tensors p;  ///< the network's differentiable parameters
  bool wrt_x_T = true;
  Wanted wrt_p;  ///< one flag per p; empty: none
  Loss loss;
  Progress progress;
};

struct Gradient {
  Tensor x_0;
  double loss = 0;
  Tensor x_T;             ///< undefined if not asked for
  Tensors p;              ///< undefined where not asked for
  std::int64_t nfe = 0;   ///< evaluations of the denoiser in all (forward, recomputed, inside VJPs)
  std::int64_t vjps = 0;  ///< vector-Jacobian products through the denoiser
};

struct Adjoint {
  std::string name;  ///< as in `--adjoint`
  std::string summary;
  std::string consistent;  ///< "the sampler" (exact discrete gradient) or "the continuous adjoint"
  std::string memory;      ///< in words: "every tape", "N states and one tape" ...
  std::string reference;
  std::function<Gradient(const GradientProblem&)> gradient;
};

/// All adjoints, from the files of solvers/adjoints.
const std::vector<Adjoint>& adjoints();
/// By name; an unknown one throws with the nearest.
const Adjoint& find_adjoint(const std::string& name);

// What the files of solvers/adjoints share.

/// Throws unless the problem is well posed; else calls `method` with the problem (wrt_p filled in, the loss checked to
/// be a scalar), a sampler that adds the evaluations of its network to Gradient::nfe, and the result to fill in.
Gradient solve(const GradientProblem& problem,
               const std::function<void(const GradientProblem&, const Sampler&, Gradient&)>& method);
/// Fills in x_0 and loss from the last canonical state; returns the loss's cotangent for it.
Tensor loss_cotangent(const GradientProblem& problem, const Tensor& y_0, Gradient& result);
/// Cotangent of x_T from that of the first canonical state.
Tensor start_cotangent(const GradientProblem& problem, const Tensor& a_y);

}  // namespace costate
