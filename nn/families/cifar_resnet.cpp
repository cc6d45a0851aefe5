// Family cifar_resnet: the residual networks for small images of He et al. 2015 (arXiv:1512.03385, section 4.2), as github
// akamaster/pytorch_resnet_cifar10 has them: ResNet-20, -32, -44, -56, -110.
//
// A block is relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)). The first block of every layer but the first halves the image. A
// shortcut that changes the shape has weights in some files (option B); elsewhere (option A) it takes every second row and column
// and puts zeros before and after the channels. The mean over the pixels are the features (part `features`).
#include <nlohmann/json.hpp>

#include "autodiff/ops/relu.h"
#include "nn/from_keys.h"
#include "nn/pixel_mean.h"
#include "nn/sizes.h"

namespace costate {
namespace {

/// Every `step`-th pixel, and zeros around the channels. As a convolution with one entry a channel it is exact: all other
/// products are with zero.
Tensor spaced_and_padded(const Tensor& x, std::int64_t step, std::int64_t channels) {
  const std::int64_t in = x.dim(3), before = (channels - in) / 2;
  std::vector<double> one_each(static_cast<std::size_t>(in * channels), 0.0);
  for (std::int64_t i = 0; i < in; ++i) one_each[static_cast<std::size_t>(i * channels + before + i)] = 1;
  return conv2d(x, Tensor::from(one_each, {1, 1, in, channels}, x.kind()), {.stride_h = step, .stride_w = step});
}

struct Shortcut {
  Conv2d conv;
  BatchNorm norm;

  static void fields(auto& self, auto&& visit) {
    visit("0", self.conv);
    visit("1", self.norm);
  }
};

struct Block {
  Conv2d conv1, conv2;
  BatchNorm bn1, bn2;
  std::optional<Shortcut> shortcut;

  static void fields(auto& self, auto&& visit) {
    visit("conv1", self.conv1);
    visit("bn1", self.bn1);
    visit("conv2", self.conv2);
    visit("bn2", self.bn2);
    visit("shortcut", self.shortcut);
  }

  [[nodiscard]] Tensor around(const Tensor& x) const {
    if (shortcut) return shortcut->norm(shortcut->conv(x));
    const std::int64_t step = conv1.geometry.stride_h, out = conv2.weight.dim(3);
    return step == 1 && x.dim(3) == out ? x : spaced_and_padded(x, step, out);
  }
  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    return relu(add(bn2(conv2(relu(bn1(conv1(x))))), around(x)));
  }
};

struct CifarResNet {
  Conv2d conv1;
  BatchNorm bn1;
  std::vector<std::vector<Block>> layers;
  Linear linear;
  std::string part;                      ///< "features", or empty: logits
  std::int64_t height = 32, width = 32;  ///< the usual size; any other works

  static void fields(auto& self, auto&& visit) {
    visit("conv1", self.conv1);
    visit("bn1", self.bn1);
    for (std::size_t i = 0; i < self.layers.size(); ++i) visit(fmt::format("layer{}", i + 1).c_str(), self.layers[i]);
    visit("linear", self.linear);
  }
  static std::vector<std::string> parts() { return {"features"}; }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    require(in.x.rank() == 4 && in.x.dim(3) == conv1.weight.dim(2), "cifar_resnet: wants x (n, h, w, {}), got {}",
            conv1.weight.dim(2), in.x.shape());
    require(!in.classes.defined() && !in.z.defined(), "cifar_resnet: takes no condition");
    Tensor h = relu(bn1(conv1(in.x)));
    for (const auto& layer : layers)
      for (const auto& block : layer) h = block(h);
    const Tensor features = pixel_mean(h);
    return part == "features" ? features : linear(features);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {height, width, conv1.weight.dim(2)};
    s.out_channels = linear.weight.dim(part == "features" ? 0 : 1);
    s.takes_time = false;
    std::size_t blocks = 0;
    for (const auto& layer : layers) blocks += layer.size();
    s.summary = fmt::format("ResNet-{} in {} layers, {} classes", 2 * blocks + 2, layers.size(), linear.weight.dim(1));
    // Pixels in [0, 1] less ImageNet's mean, over its standard deviation, channel by channel.
    if (s.input[2] == 3)
      s.defaults = R"({"sampling": {"range": [[-2.1179039301310043, -2.0357142857142856, -1.8044444444444445],
                                              [2.2489082969432315, 2.4285714285714286, 2.64]]}})";
    return s;
  }
};

Block block_of(const KeyShapes& keys, const std::string& at, std::int64_t stride) {
  const Shape w = shape_of(keys, at + "conv1.weight", 4);
  ConvGeometry how = same_padding(w[2], w[3]), skipping{.stride_h = stride, .stride_w = stride};
  how.stride_h = how.stride_w = stride;
  Block b{conv_of(keys, at + "conv1", how),
          conv_of(keys, at + "conv2"),
          batch_norm_of(keys, at + "bn1"),
          batch_norm_of(keys, at + "bn2"),
          {}};
  if (keys.count(at + "shortcut.0.weight") != 0)
    b.shortcut = {conv_of(keys, at + "shortcut.0", skipping), batch_norm_of(keys, at + "shortcut.1")};
  const std::int64_t more = b.conv2.weight.dim(3) - w[1];
  require(b.shortcut || (more >= 0 && more % 2 == 0),
          "cifar_resnet: {}: {} channels become {} without a shortcut's weights; zeros go on both sides alike", at,
          w[1], b.conv2.weight.dim(3));
  return b;
}

CifarResNet make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "strides sample_size");
  CifarResNet m;
  m.conv1 = conv_of(keys, "conv1");
  m.bn1 = batch_norm_of(keys, "bn1");
  const auto strides = config.integers("strides");
  for (;;) {
    const std::string layer = fmt::format("layer{}", m.layers.size() + 1);
    const std::int64_t blocks = count_of(keys, layer);
    if (blocks == 0) break;
    const std::size_t i = m.layers.size();
    require(strides.empty() || (i < strides.size() && (strides[i] == 1 || strides[i] == 2)),
            "{}: strides wants a 1 or 2 for each layer", config.where());
    const std::int64_t stride = strides.empty() ? (i == 0 ? 1 : 2) : strides[i];
    m.layers.emplace_back();
    for (std::int64_t k = 0; k < blocks; ++k)
      m.layers.back().push_back(block_of(keys, fmt::format("{}.{}.", layer, k), k == 0 ? stride : 1));
  }
  m.linear = linear_of(keys, "linear");
  std::tie(m.height, m.width) = sides_from(config, "sample_size", {m.height, m.width});
  return m;
}

}  // namespace

Family cifar_resnet_family() {
  return {"cifar_resnet", "residual classifier of small images (ResNet-20 ... -110); structure read off the keys",
          by_keys({"bn1.running_mean", "layer1.0.conv1.weight", "linear.weight"}), network_by(make)};
}

}  // namespace costate
