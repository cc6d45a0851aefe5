// One evaluation of a network with its vector-Jacobian product in whichever inputs and weights are asked for.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autodiff/tape.h"
#include "core/replay.h"
#include "tools/model/inputs.h"

namespace costate {

/// Throws for a word of --wrt that is neither one of these inputs nor z nor theta.
void check_wrt(const std::vector<std::string>& wrt, std::vector<std::string> names);

struct Evaluation {
  Inputs in;
  std::vector<std::string> names;  ///< of the inputs that have a derivative
  Tensors leaves;                  ///< their values, then the weights
  Wanted wanted;                   ///< one flag a leaf

  /// `wrt`: names of inputs and theta; everything where it is empty. Throws for a name that is neither, and for an input that
  /// is not finite.
  Evaluation(const Inputs& in, const Model& model, const std::vector<std::string>& wrt);

  struct Outcome {
    Tensor y;
    Tensors g;  ///< of the leaves
  };
  /// y, and for a defined cotangent g the gradients of <g, y>. `network` is the same each time. Rows go through it and back as
  /// many at a time as it likes, unless the weights' gradient is asked for.
  [[nodiscard]] Outcome run(const Network& network, const Tensor& g) const;
  /// On these rows of `in`, all at once.
  [[nodiscard]] Outcome run_rows(const Network& network, const Inputs& rows, const Tensor& g) const;

  std::shared_ptr<Replay> replay = std::make_shared<Replay>();  ///< of y with its gradients
};

/// Gradients in the parameters, in order, by the keys and in the layouts of the checkpoint.
std::vector<std::pair<std::string, Tensor>> theta_by_key(const Model& model, const Tensors& gradients);

/// Throws, naming `what`, the first non-finite value and the remedy.
void require_finite(const Tensor& t, const std::string& what);

}  // namespace costate
