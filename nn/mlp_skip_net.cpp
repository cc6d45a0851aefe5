// Building and running MLPSkipNet.
#include "nn/mlp_skip_net.h"
#include "nn/sizes.h"

#include <algorithm>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"

namespace costate {

Tensor MlpSkipLayer::operator()(const Tensor& x, const Tensor& time) const {
  Tensor h = linear(x);
  if (linear_emb) h = h * ((*linear_emb)(activate(activation, time)) + condition_bias);
  return activate(activation, norm ? (*norm)(h) : h);
}

MlpSkipNet::MlpSkipNet(const Config& c)
    : skips(c.integers("skip_layers")),
      time_width(size_from(c, "num_time_emb_channels", 64, 2)),
      activation(activation_from(c, "activation", {"silu", "relu", "lrelu", "tanh", "none"})),
      last(activation_from(c, "last_act", {"none", "silu", "relu", "lrelu", "tanh"})),
      time_last(c.flag("time_last_act", false)) {
  refuse_unknown(c,
                 "num_channels skip_layers num_hid_channels num_layers num_time_emb_channels activation use_norm "
                 "condition_bias dropout last_act num_time_layers time_last_act");
  const std::int64_t width = size_from(c, "num_channels", 512), hidden = size_from(c, "num_hid_channels", 2048),
                     number = count_from(c, "num_layers", 10), times = count_from(c, "num_time_layers", 2);
  for (std::int64_t i = 0; i < times; ++i) time.emplace_back(i == 0 ? time_width : width, width);
  for (std::int64_t i = 0; i < number; ++i) {
    const bool linear_only = i > 0 && i + 1 == number;
    const bool skip = std::find(skips.begin(), skips.end(), i) != skips.end();
    const std::int64_t in = (i == 0 ? width : hidden) + (skip ? width : 0), out = linear_only ? width : hidden;
    MlpSkipLayer layer{.linear = Linear(in, out), .linear_emb = {}, .norm = {}};
    if (!linear_only) {
      layer.linear_emb.emplace(width, out);
      if (c.flag("use_norm", true)) layer.norm.emplace(out);
      layer.activation = activation;
      layer.condition_bias = c.number("condition_bias", 1);
    }
    layers.push_back(layer);
  }
}

Tensor MlpSkipNet::operator()(const Inputs& in) const {
  const std::int64_t n = in.x.rank() == 2 ? in.x.dim(0) : 0, width = time.front().weight.dim(1);
  require(in.x.shape() == Shape{n, width}, "diffae-latent: wants x (n, {}), got {}", width, in.x.shape());
  require(!in.z.defined() && !in.classes.defined(), "diffae-latent: takes no condition, but one was given");
  const TimeProjection waves{.width = time_width, .weight = {}};
  Tensor e = waves(per_row("times", in.t, n), in.x.kind());
  for (std::size_t i = 0; i < time.size(); ++i) {
    e = time[i](e);
    if (i + 1 < time.size() || time_last) e = activate(activation, e);
  }
  Tensor h = in.x;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (std::find(skips.begin(), skips.end(), static_cast<std::int64_t>(i)) != skips.end()) h = concat({h, in.x}, 1);
    h = layers[i](h, e);
  }
  return activate(last, h);
}

Signature MlpSkipNet::signature() const {
  Signature s;
  s.input = {time.front().weight.dim(1)};
  s.out_channels = layers.back().linear.weight.dim(1);
  s.summary = fmt::format("MLP over codes, {} layers of width {}", layers.size(), layers.front().linear.weight.dim(1));
  // Codes are normalised before; beta is 0.008 throughout (its authors' `const0.008`).
  s.defaults = R"({"prediction": "epsilon", "schedule": {"type": "ddpm", "beta_schedule": "linear",
                   "beta_start": 0.008, "beta_end": 0.008, "num_train_timesteps": 1000}})";
  return s;
}

}  // namespace costate
