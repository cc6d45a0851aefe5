// The nonlinearities that configurations name.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "core/tensor.h"

namespace costate {

enum class Activation { silu, mish, gelu, relu, elu, leaky_relu, tanh, identity };

/// The activation a configuration names under `key`: one of `choices`, the first where the key is absent. Names: silu
/// (also swish), mish, gelu, relu, elu, lrelu (slope 0.2 below 0), tanh, none.
Activation activation_from(const Config& config, const std::string& key,
                           const std::vector<std::string>& choices = {"silu", "swish", "mish", "gelu", "relu"});

[[nodiscard]] Tensor activate(Activation activation, const Tensor& x);

/// x tanh(ln(1 + e^x)), for every x without overflow or cancellation.
[[nodiscard]] Tensor mish(const Tensor& x);

}  // namespace costate
