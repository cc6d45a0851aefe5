// Family multiscale_denoiser: blind convolutional denoisers of images and of their Haar details, coarse to fine
// (Kadkhodaie, Guth, Mallat, Simoncelli, "Learning multi-scale local conditional probability models of images", ICLR
// 2023).
//
// A chain of bias-free convolutions with bias-free batch norms and ReLU between. No time input: the network finds the
// noise level itself. Its output is the noise part sigma eps of x = x_0 + sigma eps. Where it returns fewer channels
// than it reads, the first ones read are a clean condition (the low-pass image) and the rest are the noisy details.
#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/relu.h"
#include "nn/conv2d.h"
#include "nn/family.h"
#include "nn/sizes.h"

namespace costate {
namespace {

/// x gammas / running_sd, channel by channel: batch norm without a mean. Kept as they lie in files, (1, c, 1, 1).
struct ScaleNorm {
  Tensor running_sd, gammas;

  static void fields(auto& self, auto&& visit) {
    visit("running_sd", self.running_sd, Layout::plain, true);
    visit("gammas", self.gammas);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    return x * reshape(gammas / running_sd, {1, 1, 1, x.dim(3)});
  }
};

struct MultiscaleDenoiser {
  std::vector<Conv2d> conv_layers;
  std::vector<ScaleNorm> norms;          ///< after each convolution but the first and the last
  std::int64_t height = 40, width = 40;  ///< the usual size; any other works

  static void fields(auto& self, auto&& visit) {
    visit("conv_layers", self.conv_layers);
    visit("BN_layers", self.norms);
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t channels = conv_layers.front().weight.dim(2);
    require(in.x.rank() == 4 && in.x.dim(3) == channels, "multiscale_denoiser: wants x (n, h, w, {}), got {}", channels,
            in.x.shape());
    require(!in.classes.defined() && !in.z.defined(), "multiscale_denoiser: takes no condition but its own channels");
    Tensor h = conv_layers.front()(in.x);
    for (std::size_t i = 0; i < norms.size(); ++i) h = relu(norms[i](conv_layers[i + 1](h)));
    return conv_layers.back()(h);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {height, width, conv_layers.front().weight.dim(2)};
    s.out_channels = conv_layers.back().weight.dim(3);
    s.takes_time = false;
    s.summary = fmt::format("blind denoiser of {} bias-free convolutions, {} channels", conv_layers.size(),
                            conv_layers.front().weight.dim(3));
    // Images in [0, 1] under noise of sigma 0.01 to 1, drawn around grey; their details around nothing.
    s.defaults =
        fmt::format(R"({{"prediction": "noise", "schedule": {{"type": "edm", "sigma_min": 0.01, "sigma_max": 1}},
                     "sampling": {{"grid": "exponential", "final": "zero", "range": [0, 1], "prior_mean": {}}}}})",
                    s.out_channels == s.input[2] ? 0.5 : 0);
    return s;
  }
};

MultiscaleDenoiser make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "sample_size");
  MultiscaleDenoiser m;
  for (auto at = keys.find("conv_layers.0.weight"); at != keys.end();
       at = keys.find(fmt::format("conv_layers.{}.weight", m.conv_layers.size()))) {
    const Shape& w = at->second;
    require(w.rank() == 4 && w[2] == w[3] && w[2] % 2 == 1,
            "multiscale_denoiser: {} should be (out, in, k, k) with odd k, is {}", at->first, w);
    Conv2d layer(w[1], w[0], w[2]);
    layer.bias = Tensor();
    m.conv_layers.push_back(layer);
  }
  require(m.conv_layers.size() >= 2, "multiscale_denoiser: {} convolutions (conv_layers.N.weight); wants two or more",
          m.conv_layers.size());
  for (std::size_t i = 1; i + 1 < m.conv_layers.size(); ++i) {
    const Tensor each = parameter({1, m.conv_layers[i].weight.dim(3), 1, 1});
    m.norms.push_back({each, each});
  }
  std::tie(m.height, m.width) = sides_from(config, "sample_size", {m.height, m.width});
  return m;
}

}  // namespace

Family multiscale_denoiser_family() {
  return {"multiscale_denoiser",
          "blind bias-free denoisers of images and Haar details, coarse to fine; structure read off the keys",
          by_keys({"conv_layers.0.weight", "BN_layers.0.running_sd"}), network_by(make)};
}

}  // namespace costate
