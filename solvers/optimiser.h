// Gradient descent on lists of tensors: SGD with momentum, and Adam.
#pragma once

#include <string>

#include "core/tensor.h"

namespace costate {

struct Optimiser {
  enum class Kind { sgd, adam };
  Kind kind = Kind::adam;
  double rate = 0.01;
  double momentum = 0;                               ///< of SGD
  double beta_1 = 0.9, beta_2 = 0.999, tiny = 1e-8;  ///< of Adam

  /// What a step remembers: saved and restored, it goes on as if nothing had happened.
  struct State {
    std::int64_t steps = 0;
    Tensors first, second;  ///< moments, in the order of the values; empty before the first step
  };
  /// The values after a step down the gradients; an undefined gradient leaves its value alone. Kept in the values' dtype.
  [[nodiscard]] Tensors step(const Tensors& values, const Tensors& gradients, State& state) const;
};

/// sgd or adam; an unknown name throws with the nearest.
Optimiser::Kind optimiser_from(const std::string& name);

}  // namespace costate
