// Gradient descent on lists of tensors: SGD with momentum, and Adam; running averages of what it passes through.
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
    /// Moments in the order of the values, f32 where those are bf16. Empty before the first step.
    Tensors first, second;
  };
  /// The values, in their dtype, after a step down the gradients; an undefined gradient leaves its value alone.
  [[nodiscard]] Tensors step(const Tensors& values, const Tensors& gradients, State& state) const;
};

/// sgd or adam; an unknown name throws with the nearest.
Optimiser::Kind optimiser_from(const std::string& name);

/// decay a + (1 - decay) x of every average a and value x: the weights that diffusion models are sampled with (Ho et al. 2020,
/// arXiv:2006.11239: 0.9999). With no averages it begins, as the values. Those of bf16 values are f32, like moments.
[[nodiscard]] Tensors average(const Tensors& averages, const Tensors& values, double decay);

}  // namespace costate
