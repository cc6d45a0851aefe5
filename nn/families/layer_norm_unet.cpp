// Family layer_norm_unet: U-Nets of small images with layer norms over whole images and a fixed table of times
// (github Franfee/DM-DDPM-MNIST-ImageGen, UNet with residual blocks).
//
// A block is x -> relu(skip(x) + conv2(relu(conv1(ln(x))))). Down: the time is added through two linear layers, then two
// blocks, then a 2x2 convolution of stride 2; up: a 2x2 transposed convolution, zeros at the right and the bottom where
// the skip is larger, the skip before it, the time through one linear layer, two blocks.
#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/slice.h"
#include "nn/from_keys.h"
#include "nn/sizes.h"
#include "nn/time_embedding.h"

namespace costate {
namespace {

constexpr ConvGeometry half{.stride_h = 2, .stride_w = 2};

struct Block {
  ImageNorm ln;
  Conv2d conv1, conv2;
  std::optional<Conv2d> residual_conv;

  static void fields(auto& self, auto&& visit) {
    visit("ln", self.ln);
    visit("conv1", self.conv1);
    visit("conv2", self.conv2);
    visit("residual_conv", self.residual_conv);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    return relu(add(residual_conv ? (*residual_conv)(x) : x, conv2(relu(conv1(ln(x))))));
  }
};
using Blocks = std::vector<Block>;

struct TimeLayers {
  Linear first, second;

  static void fields(auto& self, auto&& visit) {
    visit("0", self.first);
    visit("2", self.second);
  }

  [[nodiscard]] Tensor operator()(const Tensor& p) const { return second(relu(first(p))); }
};

/// x plus a vector a sample, at every pixel.
Tensor add_everywhere(const Tensor& x, const Tensor& v) { return add(x, reshape(v, {v.dim(0), 1, 1, v.dim(1)})); }

Tensor through(const Blocks& blocks, Tensor x) {
  for (const auto& block : blocks) x = block(x);
  return x;
}

struct LayerNormUNet {
  Tensor times;  ///< (steps, width), used as stored
  std::vector<Blocks> encoders, decoders;
  std::vector<TimeLayers> time_in;
  std::vector<Linear> time_out;
  std::vector<Conv2d> downs;
  std::vector<TransposedConv2d> ups;
  Linear time_mid;
  Blocks mid;
  Conv2d conv_out;

  static void fields(auto& self, auto&& visit) {
    visit("pe.embedding.weight", self.times, Layout::plain, true);
    visit("encoders", self.encoders);
    visit("decoders", self.decoders);
    visit("pe_linears_en", self.time_in);
    visit("pe_linears_de", self.time_out);
    visit("downs", self.downs);
    visit("ups", self.ups);
    visit("pe_mid", self.time_mid);
    visit("mid", self.mid);
    visit("conv_out", self.conv_out);
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    require(!in.classes.defined() && !in.z.defined(), "layer_norm_unet: takes no condition");
    const Tensor p = table_rows(per_row("time", in.t, in.x.dim(0)), times);
    Tensors skips;
    Tensor h = in.x;
    for (std::size_t i = 0; i < encoders.size(); ++i) {
      h = through(encoders[i], add_everywhere(h, time_in[i](p)));
      skips.push_back(h);
      h = downs[i](h);
    }
    h = through(mid, add_everywhere(h, time_mid(p)));
    for (std::size_t i = 0; i < decoders.size(); ++i) {
      const Tensor& skip = skips[skips.size() - 1 - i];
      h = ups[i](h);
      h = pad(pad(h, 1, 0, skip.dim(1) - h.dim(1)), 2, 0, skip.dim(2) - h.dim(2));
      h = through(decoders[i], add_everywhere(concat({skip, h}, 3), time_out[i](p)));
    }
    return conv_out(h);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = encoders[0][0].ln.weight.shape();
    s.out_channels = conv_out.weight.dim(3);
    s.time_rows = times.dim(0);
    s.summary = fmt::format("U-Net with layer norms, {} levels, {} to {} channels", encoders.size(),
                            encoders[0][0].conv1.weight.dim(3), mid[0].conv1.weight.dim(3));
    s.defaults = fmt::format(R"({{"prediction": "epsilon", "schedule": {{"type": "ddpm", "num_train_timesteps": {}}},
                        "sampling": {{"range": [0, 1]}}}})",
                             times.dim(0));
    return s;
  }
};

Blocks blocks_of(const KeyShapes& keys, const std::string& prefix) {
  Blocks blocks;
  for (std::int64_t i = 0; i < count_of(keys, prefix); ++i) {
    const std::string at = fmt::format("{}.{}.", prefix, i);
    blocks.push_back({image_norm_of(keys, at + "ln"), conv_of(keys, at + "conv1"), conv_of(keys, at + "conv2"), {}});
    if (keys.count(at + "residual_conv.weight") != 0) blocks.back().residual_conv = conv_of(keys, at + "residual_conv");
  }
  require(!blocks.empty(), "layer_norm_unet: there are no blocks {}.N", prefix);
  return blocks;
}

LayerNormUNet make(const KeyShapes& keys) {
  LayerNormUNet m;
  m.times = parameter(shape_of(keys, "pe.embedding.weight", 2));
  for (std::int64_t i = 0; i < count_of(keys, "encoders"); ++i) {
    m.encoders.push_back(blocks_of(keys, fmt::format("encoders.{}", i)));
    m.decoders.push_back(blocks_of(keys, fmt::format("decoders.{}", i)));
    m.time_in.push_back(
        {linear_of(keys, fmt::format("pe_linears_en.{}.0", i)), linear_of(keys, fmt::format("pe_linears_en.{}.2", i))});
    m.time_out.push_back(linear_of(keys, fmt::format("pe_linears_de.{}", i)));
    m.downs.push_back(conv_of(keys, fmt::format("downs.{}", i), half));
    m.ups.push_back(transposed_conv_of(keys, fmt::format("ups.{}", i), half));
  }
  require(!m.encoders.empty(), "layer_norm_unet: there are no levels encoders.N");
  m.time_mid = linear_of(keys, "pe_mid");
  m.mid = blocks_of(keys, "mid");
  m.conv_out = conv_of(keys, "conv_out");
  return m;
}

}  // namespace

Family layer_norm_unet_family() {
  return {"layer_norm_unet", "U-Net of small images with layer norms over whole images; structure read off the keys",
          by_keys({"pe.embedding.weight", "encoders.0.0.ln.weight"}),
          network_by([](const Config& config, const KeyShapes& keys) {
            refuse_unknown(config, "");
            return make(keys);
          })};
}

}  // namespace costate
