// Family dilated_unet: blind denoisers of natural images, a U-Net of one level with dilated convolutions (Mohan, Kadkhodaie,
// Simoncelli, Fernandez-Granda, "Robust and interpretable blind image denoising via bias-free convolutional neural networks",
// ICLR 2020; github LabForComputationalVision/bias_free_denoising).
//
// y is the denoised image. ReLU follows every convolution but the last:
//   s = conv2(conv1(x)), h = conv6(conv5(conv4(conv3(s)))), y = conv9(conv8([conv7(h), s]))
// conv3 halves the image, conv5 and conv6 are dilated by 2 and 4, conv7 is transposed and doubles it.
#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/slice.h"
#include "nn/from_keys.h"
#include "nn/sizes.h"

namespace costate {
namespace {

struct DilatedUNet {
  Conv2d conv1, conv2, conv3, conv4, conv5, conv6, conv8, conv9;
  TransposedConv2d conv7;
  bool residual = false;                 ///< the network finds the noise, y is x less that
  std::int64_t height = 64, width = 64;  ///< the usual size; any other works

  static void fields(auto& self, auto&& visit) {
    visit("conv1", self.conv1);
    visit("conv2", self.conv2);
    visit("conv3", self.conv3);
    visit("conv4", self.conv4);
    visit("conv5", self.conv5);
    visit("conv6", self.conv6);
    visit("conv7", self.conv7);
    visit("conv8", self.conv8);
    visit("conv9", self.conv9);
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t channels = conv1.weight.dim(2);
    require(in.x.rank() == 4 && in.x.dim(3) == channels, "dilated_unet: wants x (n, h, w, {}), got {}", channels,
            in.x.shape());
    require(!in.classes.defined() && !in.z.defined(), "dilated_unet: takes no condition");
    const std::int64_t h = in.x.dim(1), w = in.x.dim(2);
    // An odd size gets a row or column of zeros, which is cut off again.
    const Tensor x = pad(pad(in.x, 1, 0, h % 2), 2, 0, w % 2);
    const Tensor skip = relu(conv2(relu(conv1(x))));
    const Tensor low = relu(conv6(relu(conv5(relu(conv4(relu(conv3(skip))))))));
    const Tensor y = conv9(relu(conv8(concat({relu(conv7(low)), skip}, 3))));
    const Tensor cut = slice(slice(y, 1, 0, h), 2, 0, w);
    return residual ? sub(in.x, cut) : cut;
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {height, width, conv1.weight.dim(2)};
    s.out_channels = conv9.weight.dim(3);
    s.takes_time = false;
    s.summary = fmt::format("blind denoiser, U-Net of one level with dilated convolutions, {} to {} channels, {}",
                            conv1.weight.dim(3), conv3.weight.dim(3), conv1.bias.defined() ? "biased" : "bias-free");
    // Images in [0, 1], drawn around grey.
    s.defaults = R"({"prediction": "sample", "schedule": {"type": "edm", "sigma_min": 0.01, "sigma_max": 1},
                     "sampling": {"grid": "exponential", "final": "zero", "range": [0, 1], "prior_mean": 0.5}})";
    return s;
  }
};

/// A convolution of an odd kernel that keeps the size, or of stride 2.
Conv2d layer(const KeyShapes& keys, const std::string& key, std::int64_t stride, std::int64_t dilation) {
  const Shape w = shape_of(keys, key + ".weight", 4);
  require(w[2] % 2 == 1 && w[3] % 2 == 1, "dilated_unet: {} should have an odd kernel, is {}", key, w);
  ConvGeometry how = same_padding(dilation * (w[2] - 1) + 1, dilation * (w[3] - 1) + 1);
  how.stride_h = how.stride_w = stride;
  how.dilation_h = how.dilation_w = dilation;
  return conv_of(keys, key, how);
}

DilatedUNet make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "residual sample_size");
  DilatedUNet m;
  m.conv1 = layer(keys, "conv1", 1, 1);
  m.conv2 = layer(keys, "conv2", 1, 1);
  m.conv3 = layer(keys, "conv3", 2, 1);
  m.conv4 = layer(keys, "conv4", 1, 1);
  m.conv5 = layer(keys, "conv5", 1, 2);
  m.conv6 = layer(keys, "conv6", 1, 4);
  const Shape up = shape_of(keys, "conv7.weight", 4);
  require(up[2] == up[3] && up[2] % 2 == 0, "dilated_unet: conv7 should double the image with an even kernel, is {}",
          up);
  const std::int64_t edge = (up[2] - 2) / 2;
  m.conv7 = transposed_conv_of(
      keys, "conv7", {.stride_h = 2, .stride_w = 2, .top = edge, .bottom = edge, .left = edge, .right = edge});
  m.conv8 = layer(keys, "conv8", 1, 1);
  m.conv9 = layer(keys, "conv9", 1, 1);
  m.residual = config.flag("residual", false);
  require(!m.residual || m.conv9.weight.dim(3) == m.conv1.weight.dim(2),
          "{}: residual wants as many channels out ({}) as in ({})", config.where(), m.conv9.weight.dim(3),
          m.conv1.weight.dim(2));
  std::tie(m.height, m.width) = sides_from(config, "sample_size", {m.height, m.width});
  return m;
}

}  // namespace

Family dilated_unet_family() {
  return {
      "dilated_unet", "blind denoiser of natural images, U-Net with dilated convolutions; structure read off the keys",
      [](const Config&, const KeyShapes& keys) -> std::string {
        bool found = keys.size() == 9 || keys.size() == 17 || keys.size() == 18;  // biases: none, all but the last, all
        for (int i = 1; i <= 9; ++i) found = found && keys.count(fmt::format("conv{}.weight", i)) != 0;
        return found ? "keys conv1 ... conv9 and no others" : "";
      },
      network_by(make)};
}

}  // namespace costate
