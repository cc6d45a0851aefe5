// Family edm: SongUNet (DDPM++, NCSN++) and DhariwalUNet (ADM) of "Elucidating the Design Space of Diffusion-Based
// Generative Models" (Karras et al. 2022), inside their preconditioners.
//
// t is sigma and y the denoised image; the part `raw` is the bare network, told c_noise. Without labels a conditional
// network sees a label of zeros. Further input: augment_labels (n, augment_dim).
#include <map>
#include <numbers>

#include "nn/family.h"
#include "nn/preconditioned.h"
#include "nn/sizes.h"

namespace costate {
namespace {

std::int64_t groups_of(std::int64_t c) { return std::max<std::int64_t>(std::min<std::int64_t>(32, c / 4), 1); }

/// enc.RxR_NAME and dec.RxR_NAME; R is the resolution where the part's result lives.
std::function<std::string(UNetPart, std::int64_t, std::int64_t)> keys_at(std::int64_t size, UNetPlan::ImageIn how,
                                                                         bool song) {
  return [=](UNetPart part, std::int64_t level, std::int64_t i) -> std::string {
    using enum UNetPart;
    const auto at = [&](const char* side, std::int64_t where, const std::string& name) {
      return fmt::format("{}.{}x{}_{}", side, size >> where, size >> where, name);
    };
    const bool residual = how == UNetPlan::ImageIn::residual;
    const std::string number = std::to_string(i), shrunk = residual ? "aux_residual" : "aux_down";
    const std::map<UNetPart, std::string> names{
        {conv_in, at("enc", 0, "conv")},
        {down_block, at("enc", level, "block" + number)},
        {down_attention, at("enc", level, "block" + number)},
        {down, at("enc", level + 1, "down")},
        {image_in, at("enc", level + 1, residual ? shrunk : "aux_skip")},
        {image_filter, (i == 1 ? at("dec", level, "aux_up") : at("enc", level + 1, shrunk)) + ".resample_filter"},
        {mid_block, at("dec", level, "in" + number)},
        {mid_attention, at("dec", level, "in0")},
        {up_block, at("dec", level, "block" + number)},
        {up_attention, at("dec", level, "block" + number)},
        {up, at("dec", level - 1, "up")},
        {image_norm, at("dec", level, "aux_norm")},
        {image_conv, at("dec", level, "aux_conv")},
        {norm_out, song ? at("dec", 0, "aux_norm") : "out_norm"},
        {conv_out, song ? at("dec", 0, "aux_conv") : "out_conv"}};
    return names.at(part);
  };
}

/// What both networks read alike; `song` tells them apart.
UNetPlan plan_of(const Config& c, bool song, std::int64_t size) {
  UNetPlan p;
  const std::int64_t width = size_from(c, "model_channels", song ? 128 : 192, 4);
  p.in_channels = p.out_channels = size_from(c, "img_channels", 3);
  const auto mult = sizes_from(c, "channel_mult",
                               song ? std::vector<std::int64_t>{1, 2, 2, 2} : std::vector<std::int64_t>{1, 2, 3, 4});
  for (const auto m : mult) p.channels.push_back(width * m);
  p.first = song ? width : p.channels.front();
  p.blocks = count_from(c, "num_blocks", song ? 4 : 3, 0);
  p.up_blocks = p.blocks + 1;
  std::vector<std::int64_t> at = c.integers("attn_resolutions");
  if (!c.has("attn_resolutions")) at = song ? std::vector<std::int64_t>{16} : std::vector<std::int64_t>{32, 16, 8};
  p.attention = UNetPlan::at_resolutions(at, size, mult.size());
  p.attention_each_up = !song;
  p.change = UNetPlan::Change::block;
  p.down = p.image_down = Resampling::fir_down;
  p.up = p.image_up = Resampling::fir_up;
  p.filter = {0.5, 0.5};
  p.stores_filter = true;
  p.groups = groups_of;
  p.eps = song ? 1e-6 : 1e-5;
  const double divisor = song ? std::numbers::sqrt2 : 1;
  p.block = [=, eps = p.eps, time = width * size_from(c, "channel_mult_emb", 4)](std::int64_t in, std::int64_t out) {
    return ResBlockPlan{.in = in,
                        .out = out,
                        .time = time,
                        .groups = groups_of(in),
                        .groups_out = groups_of(out),
                        .eps = eps,
                        .scale_shift = !song,
                        .divisor = divisor,
                        .project = song,
                        .names = {"norm0", "conv0", "affine", "", "norm1", "conv1", "skip"}};
  };
  p.attend = [=, eps = p.eps](std::int64_t channels, bool) {
    const std::int64_t heads = song ? 1 : channels / 64;
    require(heads == 0 || channels % heads == 0, "edm: {} channels do not divide into {} heads", channels, heads);
    return AttentionPlan{.channels = channels,
                         .heads = heads,
                         .head_width = heads == 0 ? 0 : channels / heads,
                         .norm = GroupNorm(channels, groups_of(channels), eps),
                         .order = AttentionPlan::Order::head_channel_qkv,
                         .divisor = divisor,
                         .names = {.norm = "norm2", .qkv = {"qkv", "", ""}, .out = "proj"}};
  };
  return p;
}

/// SongUNet's own options.
void read_song(const Config& c, UNetPlan& p) {
  if (const auto taps = c.integers("resample_filter"); !taps.empty())
    p.filter = make_filter(c.where() + ": resample_filter", taps);
  const std::string in = c.choice("encoder_type", "standard", {"standard", "skip", "residual"});
  if (in == "skip") p.image_in = UNetPlan::ImageIn::sum;
  if (in == "residual") {
    p.image_in = UNetPlan::ImageIn::residual;
    p.image_down = Resampling::fir_blur;
    p.image_divisor = std::numbers::sqrt2;
  }
  if (c.choice("decoder_type", "standard", {"standard", "skip"}) == "skip") p.image_out = UNetPlan::ImageOut::sum;
}

UNetEmbedding embedding_of(const Config& c, bool song, std::int64_t width) {
  const std::int64_t out = width * size_from(c, "channel_mult_emb", 4);
  const bool fourier = song && c.choice("embedding_type", "positional", {"positional", "fourier"}) == "fourier";
  const std::int64_t noise = song ? width * size_from(c, "channel_mult_noise", 1) : width;
  UNetEmbedding e;
  // PositionalEmbedding(endpoint=True) divides by half - 1; SongUNet swaps cosines and sines.
  e.projection = {.width = noise, .cos_first = !song, .freq_shift = song ? 1.0 : 0.0, .weight = {}};
  if (fourier) {
    e.projection.kind = TimeProjection::Kind::fourier;
    e.projection.of_log = false;
    e.projection.weight = parameter({noise / 2});
    e.projection.key = "freqs";
    e.projection.buffer = true;
    e.projection_key = "map_noise";
  }
  if (const std::int64_t labels = size_from(c, "label_dim", 0, 0); labels > 0) {
    e.label.emplace();
    e.label->table = parameter({labels, song ? noise : out});
    if (song) e.label->bias = parameter({noise});
    e.label->layout = Layout::linear;
    e.label->gain = song ? std::sqrt(static_cast<double>(labels)) : 1;
    e.label->table_key = "map_label.weight";
    e.label->bias_key = "map_label.bias";
    e.label_first = song;
    e.label_optional = true;
  }
  if (const std::int64_t labels = size_from(c, "augment_dim", 0, 0); labels > 0)
    e.augment = Linear::without_bias(labels, noise);
  e.linear_1.emplace(noise, out);
  e.linear_2.emplace(out, out);
  e.key_1 = "map_layer0";
  e.key_2 = "map_layer1";
  return e;
}

bool has_prefix(const KeyShapes& keys) { return keys.count("model.map_layer0.weight") != 0; }

/// The network that `model_type` names; without it the one whose keys these are.
bool is_song(const Config& c, const KeyShapes& keys, Preconditioning::Kind kind) {
  const std::string prefix = has_prefix(keys) ? "model." : "";
  const bool edm = kind == Preconditioning::Kind::edm || kind == Preconditioning::Kind::iddpm;
  const bool song = keys.empty() ? !edm : keys.count(prefix + "out_conv.weight") == 0;
  return c.choice("model_type", song ? "SongUNet" : "DhariwalUNet", {"SongUNet", "DhariwalUNet"}) == "SongUNet";
}

Preconditioned make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config,
                 "precond class_name model_type img_resolution img_channels sigma_data sigma_min sigma_max beta_d "
                 "beta_min M epsilon_t C_1 C_2 use_fp16 label_dim augment_dim model_channels channel_mult "
                 "channel_mult_emb num_blocks attn_resolutions dropout label_dropout embedding_type "
                 "channel_mult_noise encoder_type decoder_type resample_filter");
  Preconditioned m;
  m.precondition = Preconditioning(config);
  const bool song = is_song(config, keys, m.precondition.kind);
  const std::int64_t size = size_from(config, "img_resolution", 0);  // the keys count by it
  UNetPlan plan = plan_of(config, song, size);
  if (song) read_song(config, plan);
  plan.key = keys_at(size, plan.image_in, song);
  if (m.precondition.kind == Preconditioning::Kind::iddpm) {
    plan.out_channels *= 2;
    m.u = parameter({m.precondition.steps + 1});
  }
  m.prefix = has_prefix(keys) ? "model" : "";
  m.model = make_unet_model(embedding_of(config, song, config.integer("model_channels", song ? 128 : 192)),
                            std::move(plan), size, "");
  return m;
}

}  // namespace

Family edm_family() {
  return {"edm",
          "SongUNet and DhariwalUNet of EDM with their preconditioners: t is sigma, y the denoised image",
          [](const Config&, const KeyShapes& keys) -> std::string {
            const std::string first = has_prefix(keys) ? "model.enc." : "enc.";  // the next: enc.RxR_conv
            const auto at = keys.lower_bound(first);
            const bool found = keys.count(has_prefix(keys) ? "model.map_layer0.weight" : "map_layer0.weight") != 0;
            return found && at != keys.end() && at->first.rfind(first, 0) == 0 ? "keys map_layer0 and enc.RxR" : "";
          },
          network_by(make),
          {"edm-ddpmpp", "edm-ncsnpp", "edm-adm"}};
}

}  // namespace costate
