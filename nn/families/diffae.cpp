// Family diffae: BeatGANsAutoencModel of "Diffusion Autoencoders" (Preechakul et al. 2022): a U-Net told the time and a
// semantic code z (n, d), and the encoder that finds z.
//
// Parts: encode (image to code); latent, where the file has the diffusion network over codes.
#include "autodiff/ops/silu.h"
#include "nn/adm_plan.h"
#include "nn/attention_pool.h"
#include "nn/family.h"
#include "nn/mlp_skip_net.h"
#include "nn/sizes.h"
#include "nn/unet.h"

namespace costate {
namespace {

/// Half a U-Net without time, and the mean of its features through a linear layer.
struct Encoder {
  UNet unet;
  GroupNorm norm;
  Linear out;

  static void fields(auto& self, auto&& visit) {
    visit("", self.unet);
    visit("out.0", self.norm);
    visit("out.3", self.out);
  }
  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    return out(pixel_mean(norm.then(Activation::silu, unet(x, {}))));
  }
};

struct DiffAe {
  UNetEmbedding embedding;
  UNet unet;
  Encoder encoder;
  std::optional<MlpSkipNet> latent;
  std::int64_t size = 0, code = 0;  ///< of the image; width of z
  std::string defaults;
  std::string part;

  static void fields(auto& self, auto&& visit) {
    visit("", self.embedding);
    visit("", self.unet);
    visit("encoder", self.encoder);
    visit("latent_net", self.latent);
  }
  [[nodiscard]] std::vector<std::string> parts() const {
    return latent ? std::vector<std::string>{"encode", "latent"} : std::vector<std::string>{"encode"};
  }
  [[nodiscard]] static std::vector<std::pair<std::string, std::string>> spellings() { return MlpSkipNet::spellings(); }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    if (part == "encode") return encoder(in.x);
    if (part == "latent") return (*latent)(in);
    const std::int64_t n = in.x.dim(0);
    require(in.z.defined() && in.z.shape() == Shape{n, code}, "diffae: wants a semantic code z ({}, {}), got {}", n,
            code, in.z.defined() ? to_string(in.z.shape()) : "none; its part encode finds one from an image");
    Inputs without_code = in;
    without_code.z = {};
    return unet(in.x, embedding(per_row("times", in.t, n), without_code, in.x.kind()), silu(in.z));
  }

  [[nodiscard]] Signature signature() const {
    if (part == "latent") return latent->signature();
    Signature s;
    s.input = {size, size, unet.plan.in_channels};
    s.out_channels = part == "encode" ? encoder.out.weight.dim(1) : unet.plan.out_channels;
    s.takes_time = part != "encode";
    if (part.empty()) s.z = {code};
    s.summary = part == "encode" ? "encoder, half a " + encoder.unet.summary() : unet.summary() + ", semantic code";
    s.defaults = defaults;
    return s;
  }
};

/// Blocks with the time's scale and shift, then the code's scale.
UNetPlan decoder_plan(const Config& config, const AdmOptions& o) {
  const auto up_blocks = o.blocks + 1;
  UNetPlan p = adm_plan(o, UNetPlan::at_resolutions(o.attention, o.image_size, o.mult.size()));
  if (const auto mult = config.integers("input_channel_mult");
      !mult.empty() && !sizes_from(config, "input_channel_mult").empty()) {
    if (mult.size() != p.channels.size()) config.unsupported("input_channel_mult", "wants as many as channel_mult");
    p.up_channels = p.channels;
    for (std::size_t i = 0; i < mult.size(); ++i) p.channels[i] = mult[i] * o.model_channels;
  }
  if (const auto blocks = count_from(config, "num_input_res_blocks", 0, 0); blocks > 0) p.blocks = blocks;
  p.up_blocks = up_blocks;
  const std::int64_t time = size_from(config, "embed_channels", 512),
                     code = size_from(config, "resnet_cond_channels", time);
  p.block = [time, code, block = p.block](std::int64_t in, std::int64_t out) {
    ResBlockPlan plan = block(in, out);
    plan.time = time;
    plan.code = code;
    plan.scale_shift = true;
    return plan;
  };
  return p;
}

UNetPlan encoder_plan(const Config& config, AdmOptions o) {
  if (const auto mult = config.numbers("enc_channel_mult"); !mult.empty()) {
    static_cast<void>(sizes_from(config, "enc_channel_mult"));
    o.mult = mult;
  }
  if (const auto at = config.integers("enc_attn_resolutions"); !at.empty()) o.attention = at;
  o.blocks = count_from(config, "enc_num_res_block", 2);
  UNetPlan p = adm_plan(o, UNetPlan::at_resolutions(o.attention, o.image_size, o.mult.size()));
  p.decoder = false;
  p.block = [block = p.block](std::int64_t in, std::int64_t out) {
    ResBlockPlan plan = block(in, out);
    plan.time = 0;
    plan.second_half = false;
    return plan;
  };
  return p;
}

DiffAe make(const Config& config) {
  if (!config.flag("resnet_two_cond", true)) config.unsupported("resnet_two_cond", "supported: true");
  static_cast<void>(config.choice("enc_pool", "adaptivenonzero", {"adaptivenonzero"}));
  if (config.maybe_integer("num_classes")) config.unsupported("num_classes", "its authors' code refuses labels");
  AdmOptions o(config, true,
               "embed_channels resnet_two_cond resnet_cond_channels resnet_use_zero_module num_classes "
               "time_embed_channels num_input_res_blocks input_channel_mult "
               "attn_checkpoint enc_out_channels enc_pool enc_num_res_block enc_channel_mult enc_attn_resolutions "
               "enc_grad_checkpoint latent_net_conf");
  o.few_groups = true;
  DiffAe m;
  m.embedding = adm_embedding(o.model_channels, config.integer("embed_channels", 512), "time_embed.time_embed");
  m.unet = UNet(decoder_plan(config, o));
  m.encoder.unet = UNet(encoder_plan(config, o));
  const std::int64_t features = m.encoder.unet.feature_channels().back();
  m.encoder.norm = GroupNorm(features, o.groups(features), 1e-5);
  m.encoder.out = Linear(features, size_from(config, "enc_out_channels", 512), Layout::either);
  if (const Config latent = config.object("latent_net_conf"); !latent.keys().empty()) m.latent.emplace(latent);
  m.size = o.image_size;
  m.code = config.integer("resnet_cond_channels", config.integer("embed_channels", 512));
  m.defaults = adm_defaults(config);
  return m;
}

}  // namespace

Family diffae_family() {
  return {"diffae", "BeatGANsAutoencModel of DiffAE: a U-Net with a semantic code z, and its encoder",
          by_keys({"time_embed.time_embed.0.weight", "encoder.input_blocks.0.0.weight"}), network_by(make)};
}

}  // namespace costate
