// Activations as ops; mish as a composition.
#include "nn/activation.h"

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/gelu.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/sigmoid.h"
#include "autodiff/ops/silu.h"

namespace costate {

Activation activation_from(const Config& config, const std::string& key) {
  const std::string name = config.choice(key, "silu", {"silu", "swish", "mish", "gelu", "relu"});
  return name == "mish"   ? Activation::mish
         : name == "gelu" ? Activation::gelu
         : name == "relu" ? Activation::relu
                          : Activation::silu;
}

Tensor activate(Activation activation, const Tensor& x) {
  switch (activation) {
    case Activation::silu:
      return silu(x);
    case Activation::mish:
      return mish(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::relu:
      return relu(x);
  }
  fail("activation: unknown kind {}", static_cast<int>(activation));
}

// With r = sigmoid(-x), tanh(ln(1 + e^x)) = (1 - r^2) / (1 + r^2) and (1 - r) = sigmoid(x): all terms positive.
Tensor mish(const Tensor& x) {
  const Tensor r = sigmoid(-x);
  return silu(x) * (r + 1) / (square(r) + 1);
}

}  // namespace costate
