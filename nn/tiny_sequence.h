// The sequences that tiny autoencoders are: residual blocks, convolutions, and between them what has no keys.
#pragma once

#include "nn/activation.h"
#include "nn/from_keys.h"

namespace costate {

/// x + a small network of it, pixel by pixel.
struct TinyPool {
  Linear widen, narrow;
  GroupNorm norm;

  static void fields(auto& self, auto&& visit) {
    visit("0", self.widen);
    visit("1", self.norm);
    visit("3", self.narrow);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const;
};

/// Three convolutions beside a shortcut, with a ReLU after the sum.
struct TinyBlock {
  Conv2d conv_0, conv_2, conv_4;
  std::optional<Conv2d> skip;
  std::optional<TinyPool> pool;
  Activation activation = Activation::relu;

  static void fields(auto& self, auto&& visit) {
    visit("conv.0", self.conv_0);
    visit("conv.2", self.conv_2);
    visit("conv.4", self.conv_4);
    visit("skip", self.skip);
    visit("pool", self.pool);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const;
};

struct TinyStep {
  enum class Kind { clamp, activation, up, conv, block };
  Kind kind = Kind::clamp;
  Activation activation = Activation::relu;
  std::optional<Conv2d> conv;
  std::optional<TinyBlock> block;

  static void fields(auto& self, auto&& visit) {
    visit("", self.conv);
    visit("", self.block);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const;
};
using TinySteps = std::vector<TinyStep>;

/// 3 tanh(x / 3): what decoders begin with.
[[nodiscard]] Tensor within_three(const Tensor& x);

[[nodiscard]] Tensor through(const TinySteps& steps, Tensor x);

/// The sequence under a prefix; empty where there is none. Places without keys follow from what is before them: the first of all is
/// the clamp, after a convolution comes an activation, after a block the image doubles. Convolutions that halve the image are an
/// encoder's without a bias, or with an activation after them.
[[nodiscard]] TinySteps tiny_steps_of(const KeyShapes& keys, const std::string& prefix, bool encodes,
                                      Activation activation);

}  // namespace costate
