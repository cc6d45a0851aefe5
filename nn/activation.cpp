// Activations as ops; some as compositions.
#include "nn/activation.h"

#include <utility>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/gelu.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/sigmoid.h"
#include "autodiff/ops/silu.h"
#include "autodiff/ops/tanh.h"

namespace costate {
namespace {

constexpr std::pair<const char*, Activation> names[] = {
    {"silu", Activation::silu}, {"swish", Activation::silu},       {"mish", Activation::mish},
    {"gelu", Activation::gelu}, {"relu", Activation::relu},        {"elu", Activation::elu},
    {"tanh", Activation::tanh}, {"lrelu", Activation::leaky_relu}, {"none", Activation::identity}};

Tensor below_zero(const Tensor& x) { return -relu(-x); }

}  // namespace

Activation activation_from(const Config& config, const std::string& key, const std::vector<std::string>& choices) {
  const std::string given = config.choice(key, choices.front(), choices);
  for (const auto& [name, activation] : names)
    if (given == name) return activation;
  fail("activation: {} is not one", given);
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
    case Activation::elu:
      return relu(x) + (exp(below_zero(x)) - 1);
    case Activation::leaky_relu:
      return relu(x) + 0.2 * below_zero(x);
    case Activation::tanh:
      return tanh(x);
    case Activation::identity:
      return x;
  }
  fail("activation: unknown kind {}", static_cast<int>(activation));
}

// With r = sigmoid(-x), tanh(ln(1 + e^x)) = (1 - r^2) / (1 + r^2) and (1 - r) = sigmoid(x): all terms positive.
Tensor mish(const Tensor& x) {
  const Tensor r = sigmoid(-x);
  return silu(x) * (r + 1) / (square(r) + 1);
}

}  // namespace costate
