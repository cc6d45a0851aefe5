// Family image_classifier: a small convolutional classifier that knows no time; `fashion-classifier` is one.
//
// Convolutions 3x3 with SiLU, the first of stride 1 and the others of stride 2; means over the pixels are the features (part
// `features`), and a linear layer makes the logits of them. Smooth everywhere, so that gradients of its losses are.
#include "autodiff/ops/silu.h"
#include "nn/conv2d.h"
#include "nn/family.h"
#include "nn/linear.h"
#include "nn/pixel_mean.h"
#include "nn/sizes.h"

namespace costate {
namespace {

struct ImageClassifier {
  std::vector<Conv2d> conv;
  Linear out;
  std::string part;  ///< "features", or empty: logits
  Shape input;       ///< (h, w, c)

  static void fields(auto& self, auto&& visit) {
    visit("conv", self.conv);
    visit("out", self.out);
  }
  static std::vector<std::string> parts() { return {"features"}; }

  /// x (n, h, w, c) -> logits (n, classes), or features (n, width)
  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    require(in.x.rank() == 4 && in.x.dim(3) == input[2], "image_classifier: wants x (n, h, w, {}), got {}", input[2],
            in.x.shape());
    Tensor h = in.x;
    for (const auto& layer : conv) h = silu(layer(h));
    const Tensor features = pixel_mean(h);
    return part == "features" ? features : out(features);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = input;
    s.out_channels = part == "features" ? out.weight.dim(0) : out.weight.dim(1);
    s.takes_time = false;
    s.summary = fmt::format("{} convolutions, {} classes", conv.size(), out.weight.dim(1));
    return s;
  }
};

ImageClassifier make(const Config& config) {
  refuse_unknown(config, "channels classes input");
  const auto widths = sizes_from(config, "channels"), input = sizes_from(config, "input");
  const auto classes = size_from(config, "classes", 0, 2);
  if (input.size() != 3) config.unsupported("input", "wants [h, w, c]");
  ImageClassifier m;
  m.input = {input[0], input[1], input[2]};
  for (std::size_t i = 0; i < widths.size(); ++i) {
    ConvGeometry how = same_padding(3, 3);
    if (i > 0) how.stride_h = how.stride_w = 2;
    m.conv.emplace_back(i == 0 ? input[2] : widths[i - 1], widths[i], 3, how);
  }
  m.out = Linear(widths.back(), classes);
  return m;
}

}  // namespace

Family image_classifier_family() {
  return {"image_classifier", "a small classifier of images without a time, trained by costate train-classifier",
          [](const Config&, const KeyShapes&) -> std::string { return ""; }, network_by(make)};
}

}  // namespace costate
