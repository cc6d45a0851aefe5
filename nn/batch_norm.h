// Batch norm as it is when sampling: with the statistics gathered in training.
#pragma once

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/sqrt.h"
#include "nn/network.h"
#include "nn/parameter.h"

namespace costate {

/// (x - mean) / sqrt(var + eps) weight + bias along the last axis.
struct BatchNorm {
  Tensor weight, bias;               ///< (c)
  Tensor running_mean, running_var;  ///< (c), constants
  Tensor num_batches_tracked;        ///< (), a count that newer files carry along; undefined in older ones
  double eps = 1e-5;

  BatchNorm() = default;
  explicit BatchNorm(std::int64_t channels, bool counted = true)
      : weight(parameter({channels})),
        bias(parameter({channels})),
        running_mean(parameter({channels})),
        running_var(parameter({channels})),
        num_batches_tracked(counted ? parameter({}) : Tensor()) {}

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
    visit("running_mean", self.running_mean, Layout::plain, true);
    visit("running_var", self.running_var, Layout::plain, true);
    visit("num_batches_tracked", self.num_batches_tracked, Layout::plain, true);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    const Tensor gain = weight / sqrt(running_var + eps);
    const Tensor centred = sub(x, along_last_axis(running_mean, x.rank()));
    return add_bias(centred * along_last_axis(gain, x.rank()), bias);
  }
};

}  // namespace costate
