// Family smalldiffusion-unet: the Unet of yuanchenyang/smalldiffusion: Ho's blocks under other keys, told sigma.
#include "nn/family.h"
#include "nn/ho_plan.h"
#include "nn/sizes.h"
#include "nn/smalldiffusion.h"
#include "nn/unet_model.h"

namespace costate {
namespace {

/// `ups` counts in the order of execution, lowest level first.
std::string key(UNetPart part, std::int64_t level, std::int64_t i, std::int64_t levels) {
  switch (part) {
    case UNetPart::conv_in:
      return "conv_in";
    case UNetPart::down_block:
      return fmt::format("downs.{}.blocks.{}.0", level, i);
    case UNetPart::down_attention:
      return fmt::format("downs.{}.blocks.{}.1", level, i);
    case UNetPart::down:
      return fmt::format("downs.{}.downsample.1", level);
    case UNetPart::mid_block:
      return fmt::format("mid.{}", 2 * i);
    case UNetPart::mid_attention:
      return "mid.1";
    case UNetPart::up_block:
      return fmt::format("ups.{}.blocks.{}.0", levels - 1 - level, i);
    case UNetPart::up_attention:
      return fmt::format("ups.{}.blocks.{}.1", levels - 1 - level, i);
    case UNetPart::up:
      return fmt::format("ups.{}.upsample.1", levels - 1 - level);
    case UNetPart::norm_out:
      return "out_layer.0";
    default:
      return "out_layer.2";
  }
}

UNetModel make(const Config& config) {
  refuse_unknown(config,
                 "in_dim in_ch out_ch ch ch_mult embed_ch_mult num_res_blocks attn_resolutions dropout "
                 "resamp_with_conv cond_embed Scaled PredX0 PredV PredFlow");
  const std::int64_t first = size_from(config, "ch", 128), time = first * size_from(config, "embed_ch_mult", 4),
                     size = size_from(config, "in_dim", 32);
  const auto mult = sizes_from(config, "ch_mult", {1, 2, 2, 2});
  UNetPlan p = ho_plan(first, mult, count_from(config, "num_res_blocks", 2), time,
                       {"layer1.0", "layer1.2", "temb_proj.1", "", "layer2.0", "layer2.3", "shortcut"});
  p.in_channels = size_from(config, "in_ch", 3);
  p.out_channels = size_from(config, "out_ch", 3);
  p.attention = UNetPlan::at_resolutions(
      config.has("attn_resolutions") ? config.integers("attn_resolutions") : std::vector<std::int64_t>{16}, size,
      mult.size());
  p.attend = [](std::int64_t c, bool) {
    return AttentionPlan{
        .channels = c,
        .heads = 1,
        .head_width = c,
        .norm = GroupNorm(c, HoNorm::groups, HoNorm::eps),
        .order = AttentionPlan::Order::qkv_head_channel,
        .qkv_bias = false,
        .two_out = true,
        .names = {.norm = "norm", .qkv = {"attn.qkv", "", ""}, .out = "attn.proj", .out_2 = "proj_out"}};
  };
  p.key = [levels = static_cast<std::int64_t>(mult.size())](UNetPart part, std::int64_t level, std::int64_t i) {
    return key(part, level, i, levels);
  };
  UNetModel m =
      make_unet_model(smalldiffusion_embedding(config, time), std::move(p), size, smalldiffusion_defaults(config));
  m.scaled = config.flag("Scaled", false);
  return m;
}

}  // namespace

Family smalldiffusion_unet_family() {
  return {"smalldiffusion-unet", "Unet of smalldiffusion, told sigma",
          by_keys({"sig_embed.mlp.0.weight", "downs.0.blocks.0.0.layer1.0.weight"}), network_by(make)};
}

}  // namespace costate
