// Family flat_classifier: a classifier of small images whose last image is flattened, not averaged (the MNIST example of
// github tracel-ai/burn, import-model-weights).
//
// Convolutions without padding, each with ReLU; batch norm; all pixels as one vector; a linear layer with ReLU, whose result
// are the features (part `features`); a linear layer to the classes and a batch norm over them. y are the logits, before any
// softmax.
#include <cmath>

#include "autodiff/ops/permute.h"
#include "autodiff/ops/relu.h"
#include "nn/from_keys.h"
#include "nn/sizes.h"

namespace costate {
namespace {

struct FlatClassifier {
  std::vector<Conv2d> conv;
  BatchNorm norm1, norm2;
  Linear fc1, fc2;
  std::string part;  ///< "features", or empty: logits
  Shape input;       ///< (h, w, c)

  static void fields(auto& self, auto&& visit) {
    for (std::size_t i = 0; i < self.conv.size(); ++i) visit(fmt::format("conv{}", i + 1).c_str(), self.conv[i]);
    visit("norm1", self.norm1);
    visit("fc1", self.fc1);
    visit("fc2", self.fc2);
    visit("norm2", self.norm2);
  }
  static std::vector<std::string> parts() { return {"features"}; }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    require(in.x.rank() == 4 && in.x.shape() == input.with_front(in.x.dim(0)),
            "flat_classifier: wants x (n, ...) of {}, got {}", input, in.x.shape());
    require(!in.classes.defined() && !in.z.defined(), "flat_classifier: takes no condition");
    Tensor h = in.x;
    for (const auto& layer : conv) h = relu(layer(h));
    // Files flatten (channel, row, column).
    const Tensor flat = reshape(permute(norm1(h), {0, 3, 1, 2}), {h.dim(0), fc1.weight.dim(0)});
    const Tensor features = relu(fc1(flat));
    return part == "features" ? features : norm2(fc2(features));
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = input;
    s.out_channels = part == "features" ? fc1.weight.dim(1) : fc2.weight.dim(1);
    s.takes_time = false;
    s.summary = fmt::format("{} convolutions without padding, {} classes", conv.size(), fc2.weight.dim(1));
    // Pixels in [0, 1] less MNIST's mean, over its standard deviation.
    constexpr double mean = 0.1307, std = 0.3081;
    s.defaults = fmt::format(R"({{"sampling": {{"range": [{}, {}]}}}})", -mean / std, (1 - mean) / std);
    return s;
  }
};

/// The images that leave as many pixels as fc1 takes: square ones, where the configuration does not say.
Shape input_of(const Config& config, const FlatClassifier& m) {
  std::int64_t lost_h = 0, lost_w = 0;
  for (const auto& layer : m.conv) lost_h += layer.weight.dim(0) - 1, lost_w += layer.weight.dim(1) - 1;
  const std::int64_t channels = m.conv.back().weight.dim(3), pixels = m.fc1.weight.dim(0) / channels;
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(pixels))));
  const auto [height, width] = sides_from(config, "sample_size", {side + lost_h, side + lost_w});
  const std::int64_t h = height - lost_h, w = width - lost_w;
  if (h < 1 || w < 1 || h * w * channels != m.fc1.weight.dim(0))
    fail(
        "flat_classifier: images {} x {} leave {} x {} pixels of {} channels, but fc1 takes {} numbers; say "
        "`sample_size`",
        height, width, h, w, channels, m.fc1.weight.dim(0));
  return {height, width, m.conv.front().weight.dim(2)};
}

FlatClassifier make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "sample_size");
  FlatClassifier m;
  for (std::string key = "conv1"; keys.count(key + ".weight") != 0; key = fmt::format("conv{}", m.conv.size() + 1))
    m.conv.push_back(conv_of(keys, key, {}));
  require(!m.conv.empty(), "flat_classifier: there are no convolutions conv1, conv2 ...");
  m.norm1 = batch_norm_of(keys, "norm1");
  m.fc1 = linear_of(keys, "fc1");
  m.fc2 = linear_of(keys, "fc2");
  m.norm2 = batch_norm_of(keys, "norm2");
  m.input = input_of(config, m);
  return m;
}

}  // namespace

Family flat_classifier_family() {
  return {"flat_classifier", "CNN classifier without padding that flattens its last image; structure read off the keys",
          by_keys({"conv1.weight", "norm1.running_mean", "fc1.weight", "norm2.running_mean"}), network_by(make)};
}

}  // namespace costate
