// Family ddim-ho: the U-Net of "Denoising Diffusion Probabilistic Models" (Ho et al. 2020) in PyTorch (ermongroup/ddim).
#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/family.h"
#include "nn/ho_plan.h"
#include "nn/sizes.h"
#include "nn/unet_model.h"

namespace costate {
namespace {

std::string key(UNetPart part, std::int64_t level, std::int64_t i) {
  switch (part) {
    case UNetPart::conv_in:
      return "conv_in";
    case UNetPart::down_block:
      return fmt::format("down.{}.block.{}", level, i);
    case UNetPart::down_attention:
      return fmt::format("down.{}.attn.{}", level, i);
    case UNetPart::down:
      return fmt::format("down.{}.downsample.conv", level);
    case UNetPart::mid_block:
      return fmt::format("mid.block_{}", i + 1);
    case UNetPart::mid_attention:
      return "mid.attn_1";
    case UNetPart::up_block:
      return fmt::format("up.{}.block.{}", level, i);
    case UNetPart::up_attention:
      return fmt::format("up.{}.attn.{}", level, i);
    case UNetPart::up:
      return fmt::format("up.{}.upsample.conv", level);
    case UNetPart::norm_out:
      return "norm_out";
    default:
      return "conv_out";
  }
}

UNetPlan plan_of(const Config& model, std::int64_t size) {
  const std::int64_t first = size_from(model, "ch", 128);
  UNetPlan p = ho_plan(first, sizes_from(model, "ch_mult", {1, 2, 4, 8}), count_from(model, "num_res_blocks", 2),
                       4 * first, {.time = "temb_proj", .shortcut = "nin_shortcut"});
  p.in_channels = size_from(model, "in_channels", 3);
  p.out_channels = size_from(model, "out_ch", 3);
  p.attention = UNetPlan::at_resolutions(model.integers("attn_resolutions"), size, p.channels.size());
  p.change = model.flag("resamp_with_conv", true) ? UNetPlan::Change::conv : UNetPlan::Change::resampling;
  p.attend = [](std::int64_t c, bool) {
    return AttentionPlan{.channels = c,
                         .heads = 1,
                         .head_width = c,
                         .norm = GroupNorm(c, HoNorm::groups, HoNorm::eps),
                         .names = {.norm = "norm", .qkv = {"q", "k", "v"}, .out = "proj_out"}};
  };
  p.key = key;
  return p;
}

/// The betas by their names there; "jsd", which `ddpm` has no name for, is written out.
nlohmann::json schedule_of(const Config& d) {
  const std::string kind = d.choice("beta_schedule", "linear", {"linear", "quad", "const", "jsd", "sigmoid"});
  const double start = d.number("beta_start", 1e-4), end = d.number("beta_end", 0.02);
  const std::int64_t steps = size_from(d, "num_diffusion_timesteps", 1000, 2);
  nlohmann::json s{{"type", "ddpm"}, {"num_train_timesteps", steps}};
  if (kind == "jsd") {
    std::vector<double> betas;
    for (std::int64_t i = 0; i < steps; ++i) betas.push_back(1 / static_cast<double>(steps - i));
    s["betas"] = betas;
    return s;
  }
  s["beta_schedule"] = kind == "const" ? "linear" : kind;
  s["beta_start"] = kind == "const" ? end : start;
  s["beta_end"] = end;
  return s;
}

UNetModel make(const Config& config) {
  const Config model = config.object("model");
  refuse_unknown(config, "model data diffusion training sampling optim");
  refuse_unknown(model,
                 "type in_channels out_ch ch ch_mult num_res_blocks attn_resolutions dropout var_type ema_rate ema "
                 "resamp_with_conv");
  static_cast<void>(model.choice("type", "simple", {"simple"}));
  const std::int64_t size = config.object("data").integer("image_size", 0);
  UNetPlan plan = plan_of(model, size);
  UNetEmbedding e;
  e.projection = {.width = plan.first, .cos_first = false, .freq_shift = 1, .weight = {}};
  e.linear_1.emplace(plan.first, 4 * plan.first);
  e.linear_2.emplace(4 * plan.first, 4 * plan.first);
  e.key_1 = "temb.dense.0";
  e.key_2 = "temb.dense.1";
  return make_unet_model(
      std::move(e), std::move(plan), size,
      nlohmann::json{{"prediction", "epsilon"}, {"schedule", schedule_of(config.object("diffusion"))}}.dump());
}

}  // namespace

Family ddim_ho_family() {
  return {"ddim-ho", "DDPM of Ho et al. in PyTorch (ermongroup/ddim)",
          by_keys({"temb.dense.0.weight", "down.0.block.0.norm1.weight"}), network_by(make)};
}

}  // namespace costate
