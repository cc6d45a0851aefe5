// Family autoencoder_kl: diffusers' AutoencoderKL, the autoencoder of latent diffusion (Rombach et al. 2022, arXiv:2112.10752).
// encode gives [mean, log-variance] of the latents, sample draws them with the input `noise`, decode takes latents as they come from
// the encoder: scaling is the pipeline's.
#include "autodiff/ops/exp.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/split.h"
#include "nn/family.h"
#include "nn/sizes.h"
#include "nn/unet2d_blocks.h"

namespace costate {
namespace {

using Attention = AttentionChoice::Kind;

struct Encoder {
  Conv2d conv_in;
  std::vector<DownBlock> down_blocks;
  MidBlock mid_block;
  GroupNorm conv_norm_out;
  Conv2d conv_out;

  static void fields(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("down_blocks", self.down_blocks);
    visit("mid_block", self.mid_block);
    visit("conv_norm_out", self.conv_norm_out);
    visit("conv_out", self.conv_out);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    Tensor h = conv_in(x), no_image;
    Tensors skips;
    for (const auto& block : down_blocks) h = block(std::move(h), {}, skips, no_image);
    return conv_out(conv_norm_out.then(Activation::silu, mid_block(h, {})));
  }
};

struct Decoder {
  Conv2d conv_in;
  MidBlock mid_block;
  std::vector<UpBlock> up_blocks;
  GroupNorm conv_norm_out;
  Conv2d conv_out;

  static void fields(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("mid_block", self.mid_block);
    visit("up_blocks", self.up_blocks);
    visit("conv_norm_out", self.conv_norm_out);
    visit("conv_out", self.conv_out);
  }

  [[nodiscard]] Tensor operator()(const Tensor& z) const {
    Tensor h = mid_block(conv_in(z), {}), no_image;
    Tensors no_skips;
    for (const auto& block : up_blocks) h = block(std::move(h), {}, no_skips, no_image);
    return conv_out(conv_norm_out.then(Activation::silu, h));
  }
};

struct AutoencoderKL {
  Encoder encoder;
  Decoder decoder;
  std::optional<Conv2d> quant_conv, post_quant_conv;
  std::int64_t channels = 3, latent = 4, size = 0, factor = 1;
  std::string part;

  static void fields(auto& self, auto&& visit) {
    visit("encoder", self.encoder);
    visit("decoder", self.decoder);
    visit("quant_conv", self.quant_conv);
    visit("post_quant_conv", self.post_quant_conv);
  }

  [[nodiscard]] std::vector<std::string> parts() const { return {"encode", "sample", "decode"}; }
  [[nodiscard]] bool encodes() const { return part != "decode"; }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    require(!part.empty(), "autoencoder_kl: say which part is meant: encode, sample or decode");
    require(!in.z.defined() && !in.classes.defined(), "autoencoder_kl: takes no condition");
    const Shape each = signature().input;
    const std::int64_t step = encodes() ? factor : 1;
    require(in.x.rank() == 4 && in.x.dim(3) == each[2] && in.x.dim(1) % step == 0 && in.x.dim(2) % step == 0,
            "autoencoder_kl: {} wants x (n, h, w, {}) with h and w divisible by {}, got {}", part, each[2], step,
            in.x.shape());
    if (!encodes()) return decoder(post_quant_conv ? (*post_quant_conv)(in.x) : in.x);
    const Tensor encoded = encoder(in.x), moments = quant_conv ? (*quant_conv)(encoded) : encoded;
    return part == "encode" ? moments : drawn(moments, in);
  }

  /// mean + noise sqrt(variance), the log-variance held in [-30, 20].
  [[nodiscard]] Tensor drawn(const Tensor& moments, const Inputs& in) const {
    const Tensors both = split(moments, 3, {latent, latent});
    const Tensor &mean = both[0], &log_variance = both[1];
    const auto noise = in.extra.find("noise");
    require(noise != in.extra.end() && noise->second.shape() == mean.shape(), "autoencoder_kl: sample wants noise {}",
            mean.shape());
    const Tensor held = relu(log_variance + 30) - relu(log_variance - 20) - 30;
    return mean + noise->second * exp(0.5 * held);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.takes_time = false;
    const std::int64_t side = part == "decode" ? size / factor : size;
    s.input = {side, side, part == "decode" ? latent : channels};
    s.whole = !part.empty();
    s.defaults = R"({"scaling_factor": 0.18215})";
    s.out_channels = part == "decode" ? decoder.conv_out.weight.dim(3) : part == "sample" ? latent : 2 * latent;
    if (part == "sample")
      s.extra.push_back({.name = "noise", .shape = {0, 0, latent}, .usual = {side / factor, side / factor, latent}});
    s.summary = fmt::format(
        "autoencoder, {} latent channels at 1/{} of the size; parts encode (mean, log-variance), sample, decode",
        latent, factor);
    return s;
  }

  /// Attention keys of diffusers before 0.15.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> spellings() const {
    return {{"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}};
  }
};

/// Both paths as a U-Net's without skips, time or text.
UNet2DPlan plan_from(const Config& c) {
  UNet2DPlan plan;
  read_common(c, plan, 3);
  if (!plan.groups) c.unsupported("norm_num_groups", "must be a number");
  plan.eps = 1e-6;
  plan.downsample_padding = 0;
  plan.scale_shift = false;
  plan.mid.divisor = 1;
  plan.channels = c.integers("block_out_channels");
  if (plan.channels.empty()) plan.channels = {64};
  const auto convolution = LevelPlan::Style::convolution;
  const std::vector<BlockName> down = {{.name = "{}EncoderBlock2D"}, {"Attn{}EncoderBlock2D", Attention::pixels}},
                               up = {{.name = "{}DecoderBlock2D"}, {"Attn{}DecoderBlock2D", Attention::pixels}};
  plan.down = read_blocks(c, "down", {"DownEncoderBlock2D"}, down, convolution);
  plan.up = read_blocks(c, "up", {"UpDecoderBlock2D"}, up, convolution);
  connect_levels(c, plan);
  const std::int64_t layers = count_from(c, "layers_per_block", 1);
  const auto choose = [&](AttentionChoice& a, std::int64_t channels) {
    a.head_width = channels;
    a.groups = plan.groups;
    a.eps = plan.eps;
  };
  for (auto& level : plan.down) level.layers = layers, choose(level.attention, level.out);
  for (auto& level : plan.up) level.layers = layers + 1, level.joins = false, choose(level.attention, level.out);
  if (c.flag("mid_block_add_attention", true)) plan.mid.attention.kind = Attention::pixels;
  choose(plan.mid.attention, plan.channels.back());
  return plan;
}

AutoencoderKL make(const Config& c) {
  refuse_unknown(c,
                 "in_channels out_channels down_block_types up_block_types block_out_channels layers_per_block act_fn "
                 "latent_channels norm_num_groups sample_size scaling_factor shift_factor latents_mean latents_std "
                 "force_upcast use_quant_conv use_post_quant_conv mid_block_add_attention");
  const UNet2DPlan plan = plan_from(c);
  AutoencoderKL m;
  m.channels = plan.in_channels;
  m.latent = size_from(c, "latent_channels", 4);
  m.size = plan.height;
  m.factor = std::int64_t{1} << (plan.channels.size() - 1);
  const std::int64_t first = plan.channels.front(), last = plan.channels.back();
  m.encoder = {Conv2d(m.channels, first, 3),
               {},
               MidBlock(plan),
               GroupNorm(last, *plan.groups, plan.eps),
               Conv2d(last, 2 * m.latent, 3)};
  m.decoder = {Conv2d(m.latent, last, 3),
               MidBlock(plan),
               {},
               GroupNorm(first, *plan.groups, plan.eps),
               Conv2d(first, plan.out_channels, 3)};
  for (const auto& level : plan.down) m.encoder.down_blocks.emplace_back(plan, level);
  for (const auto& level : plan.up) m.decoder.up_blocks.emplace_back(plan, level);
  if (c.flag("use_quant_conv", true)) m.quant_conv.emplace(2 * m.latent, 2 * m.latent, 1);
  if (c.flag("use_post_quant_conv", true)) m.post_quant_conv.emplace(m.latent, m.latent, 1);
  return m;
}

}  // namespace

Family autoencoder_kl_family() {
  return {"autoencoder_kl", "autoencoder of latent diffusion, parts encode and decode: diffusers' AutoencoderKL",
          [](const Config& config, const KeyShapes&) -> std::string {
            return config.text("_class_name", "") == "AutoencoderKL" ? "_class_name = AutoencoderKL" : "";
          },
          network_by(make)};
}

}  // namespace costate
