// MLPSkipNet of DiffAE (Preechakul et al. 2022): the diffusion network over semantic codes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "nn/layer_norm.h"
#include "nn/unet_embedding.h"

namespace costate {

/// linear, times (condition_bias + linear(act(time))), norm, activation; the last layer of a network is linear only.
struct MlpSkipLayer {
  Linear linear;
  std::optional<Linear> linear_emb;
  std::optional<LayerNorm> norm;
  Activation activation = Activation::identity;
  double condition_bias = 1;

  static void fields(auto& self, auto&& visit) {
    visit("linear", self.linear);
    visit("linear_emb", self.linear_emb);
    visit("norm", self.norm);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& time) const;
};

struct MlpSkipNet {
  std::vector<Linear> time;  ///< under even numbers, activations count too
  std::vector<MlpSkipLayer> layers;
  std::vector<std::int64_t> skips;  ///< layers that the input goes before
  std::int64_t time_width = 64;     ///< of the sinusoids
  Activation activation = Activation::silu, last = Activation::identity;
  bool time_last = false;  ///< the activation also after the last of `time`

  MlpSkipNet() = default;
  explicit MlpSkipNet(const Config& config);

  static void fields(auto& self, auto&& visit) {
    for (std::size_t i = 0; i < self.time.size(); ++i)
      visit(("time_embed." + std::to_string(2 * i)).c_str(), self.time[i]);
    visit("layers", self.layers);
  }

  /// x (n, d), t a row -> (n, d)
  [[nodiscard]] Tensor operator()(const Inputs& in) const;
  [[nodiscard]] Signature signature() const;
  /// Each linear_emb is in files twice, the second time as part of `cond_layers`.
  [[nodiscard]] static std::vector<std::pair<std::string, std::string>> spellings() {
    return {{"linear_emb", "cond_layers.1"}};
  }
};

}  // namespace costate
