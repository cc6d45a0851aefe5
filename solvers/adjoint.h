// Adjoints: gradients of a loss of x_0 in x_T and in the network's parameters. One file of solvers/adjoints each.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autodiff/tape.h"
#include "core/config.h"
#include "solvers/sampler.h"

namespace costate {

/// A scalar (shape ()) loss of x_0, written with ops.
using Loss = std::function<Tensor(const Tensor& x_0)>;
/// A running cost, for losses in Bolza's form: a scalar of x at level `index` of the sampler's grid, asked for at every
/// level but the last and added to the loss.
using RunningCost = std::function<Tensor(int index, const Tensor& x)>;

/// Work done with the denoiser, counted as it happens.
struct Effort {
  std::int64_t nfe = 0;   ///< evaluations in all (forward, recomputed, inside VJPs)
  std::int64_t vjps = 0;  ///< vector-Jacobian products
};

/// How samples go there and back a few at a time, so that no more than one group's tape is alive, or each for itself where a sampler
/// chooses its steps by what it is given. Not for samplers that couple all samples.
struct Groups {
  std::int64_t rows = 0;                                                       ///< at a time; 0: all
  std::function<Sampler(std::int64_t first, std::int64_t rows)> sampler = {};  ///< of these samples alone
  std::vector<int> axes = {};  ///< of each parameter, along which the samples lie; -1: they share it
};

struct GradientProblem {
  Sampler sampler;
  Tensor x_T;
  Tensors p;  ///< the network's differentiable parameters
  bool wrt_x_T = true;
  Wanted wrt_p = {};  ///< one flag per p; empty: none
  Loss loss = {};
  Progress progress = {};
  RunningCost running = {};
  /// Levels on which a continuous adjoint is solved, noise first, between the ends of the sampler's grid; empty: that grid.
  Grid adjoint_grid = {};
  /// Under one loss of all x_0; running costs of the groups are added up. An adjoint that chooses its steps takes one sample at a time
  /// where `sampler` is given.
  Groups groups = {};
  std::shared_ptr<Effort> effort = {};  ///< filled in by Adjoint: what its sampler and its VJPs add to
};

struct Gradient {
  Tensor x_0 = {};
  double loss = 0;                 ///< running cost included
  Tensor x_T = {};                 ///< undefined if not asked for
  Tensors p = {};                  ///< undefined where not asked for
  std::int64_t nfe = 0, vjps = 0;  ///< of a group; the most where they differ
  std::string warning =
      {};  ///< why the gradient may be off (a grid that makes the adjoint unstable, step sizes that depend on
           ///< the state), with the remedy; empty if nothing speaks for that
};

/// Cotangents of x_T and p; undefined where not asked for, or zero.
struct Pulled {
  Tensor x_T = {};
  Tensors p = {};
  std::string warning = {};
};

/// A run of the sampler, and the way back from it: cotangents from that of x_0, once.
struct Forward {
  Tensor x_0 = {};
  Tensor running = {};  ///< the running cost, summed (a constant: `pull` adds its derivative); undefined without one
  std::function<Pulled(const Tensor& a_0)> pull = {};
};

/// A method with its options settled.
struct Adjoint {
  std::string name = {};
  /// The gradient of the sampler itself, so that forward mode and second derivatives agree with it.
  bool exact = false;
  Batching batching = Batching::any;  ///< one_by_one: chooses its steps by all that it is given
  std::function<Forward(const GradientProblem& problem)> forward = {};

  [[nodiscard]] Gradient gradient(const GradientProblem& problem) const;
};

/// x_0 without a gradient, in the problem's groups: that of Adjoint::gradient.
Tensor sample(const GradientProblem& problem);

/// What a file of solvers/adjoints defines.
struct AdjointType {
  std::string name;  ///< as in `--adjoint`
  std::string summary;
  std::string consistent;  ///< "the sampler" (exact discrete gradient) or "the continuous adjoint", or what else
  std::string order;       ///< in words, against what it is consistent with
  std::string memory;      ///< in words: "every tape", "N states and one tape" ...
  std::string reference;
  std::vector<std::string> options = {};  ///< keys that `make` reads; anything else is refused
  std::function<Adjoint(const Config& options)> make;
};

/// All adjoints, from the files of solvers/adjoints.
const std::vector<AdjointType>& adjoints();
/// By name and options; an unknown name throws with the nearest, an unknown option with those there are.
Adjoint make_adjoint(const std::string& name, const Config& options = {});

/// sample() whose derivative is the adjoint's: x_0 as a function of x_T and p for losses in user code. Whatever tape
/// watches x_T or p takes the adjoint's gradient, second derivatives included. Forward mode needs an exact adjoint.
Tensor sample(const Sampler& sampler, const Tensor& x_T, const Tensors& p, const Adjoint& adjoint,
              const Progress& progress = {});

}  // namespace costate
