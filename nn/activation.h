// The nonlinearities that configurations name.
#pragma once

#include <string>

#include "core/config.h"
#include "core/tensor.h"

namespace costate {

enum class Activation { silu, mish, gelu, relu };

/// The activation a configuration names under `key`: silu (also swish; the default), mish, gelu, relu.
Activation activation_from(const Config& config, const std::string& key);

[[nodiscard]] Tensor activate(Activation activation, const Tensor& x);

/// x tanh(ln(1 + e^x)), for every x without overflow or cancellation.
[[nodiscard]] Tensor mish(const Tensor& x);

}  // namespace costate
