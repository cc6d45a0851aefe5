// Reading the options of guided-diffusion's networks, and naming their parts.
#include "nn/adm_plan.h"
#include "nn/sizes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace costate {
namespace {

/// Parts stand in numbered cells of `input_blocks` and `output_blocks`; within a cell they are numbered in order.
std::function<std::string(UNetPart, std::int64_t, std::int64_t)> cell_keys(bool resample_blocks) {
  struct Count {
    std::int64_t cell = 0, part = 0;
  };
  const auto in = std::make_shared<Count>(), out = std::make_shared<Count>();
  out->cell = -1;
  return [=](UNetPart part, std::int64_t, std::int64_t index) -> std::string {
    switch (part) {
      case UNetPart::conv_in:
        return "input_blocks.0.0";
      case UNetPart::down_block:
        return fmt::format("input_blocks.{}.0", ++in->cell);
      case UNetPart::down_attention:
        return fmt::format("input_blocks.{}.1", in->cell);
      case UNetPart::down:
        return fmt::format("input_blocks.{}.0{}", ++in->cell, resample_blocks ? "" : ".op");
      case UNetPart::mid_block:
        return fmt::format("middle_block.{}", 2 * index);
      case UNetPart::mid_attention:
        return "middle_block.1";
      case UNetPart::up_block:
        out->part = 0;
        return fmt::format("output_blocks.{}.0", ++out->cell);
      case UNetPart::up_attention:
        return fmt::format("output_blocks.{}.{}", out->cell, ++out->part);
      case UNetPart::up:
        return fmt::format("output_blocks.{}.{}{}", out->cell, ++out->part, resample_blocks ? "" : ".conv");
      case UNetPart::norm_out:
        return "out.0";
      default:
        return "out.2";
    }
  };
}

std::vector<double> multipliers(const Config& config) {
  const std::vector<double> all = config.numbers("channel_mult");
  return all.empty() ? std::vector<double>{1, 2, 4, 8} : all;
}

/// The configuration itself, if its options are the shared ones or `further`: nothing else is read before.
const Config& only_known(const Config& c, const std::string& further) {
  refuse_unknown(c,
                 further +
                     " image_size in_channels out_channels model_channels channel_mult num_res_blocks "
                     "attention_resolutions num_heads num_head_channels num_heads_upsample conv_resample dims dropout "
                     "use_checkpoint use_fp16 use_scale_shift_norm resblock_updown use_new_attention_order "
                     "noise_schedule diffusion_steps predict_xstart rescale_timesteps learn_sigma");
  return c;
}

}  // namespace

AdmOptions::AdmOptions(const Config& c, bool updown_default, const std::string& further)
    : image_size(size_from(only_known(c, further), "image_size", 0, 0)),
      in_channels(size_from(c, "in_channels", 3)),
      out_channels(size_from(c, "out_channels", 3)),
      model_channels(size_from(c, "model_channels", 0)),
      mult(multipliers(c)),
      blocks(count_from(c, "num_res_blocks", 2)),
      attention(c.integers("attention_resolutions")),
      heads(size_from(c, "num_heads", 1)),
      head_channels(c.integer("num_head_channels", -1)),
      heads_up(c.integer("num_heads_upsample", -1)),
      conv_resample(c.flag("conv_resample", true)),
      scale_shift(c.flag("use_scale_shift_norm", false)),
      updown(c.flag("resblock_updown", updown_default)),
      new_order(c.flag("use_new_attention_order", false)) {
  if (c.integer("dims", 2) != 2) c.unsupported("dims", "supported: 2");
  if (head_channels != -1 && head_channels < 1)
    c.unsupported("num_head_channels", "wants a width, or -1 for num_heads");
  if (heads_up == -1) heads_up = heads;
  if (heads_up < 1) c.unsupported("num_heads_upsample", "wants a number, or -1 for num_heads");
  for (const double m : mult)
    if (mult.size() > most_levels || m * static_cast<double>(model_channels) < 1 || m > 1000)
      c.unsupported("channel_mult", fmt::format("wants 1 to {} multiples of model_channels", most_levels));
}

UNetPlan adm_plan(const AdmOptions& o, std::vector<bool> attention) {
  UNetPlan p;
  p.in_channels = o.in_channels;
  p.out_channels = o.out_channels;
  for (const auto m : o.mult)
    p.channels.push_back(static_cast<std::int64_t>(m * static_cast<double>(o.model_channels)));
  p.first = p.channels.front();
  p.blocks = o.blocks;
  p.up_blocks = o.blocks + 1;
  p.attention = std::move(attention);
  p.change = o.updown          ? UNetPlan::Change::block
             : o.conv_resample ? UNetPlan::Change::conv
                               : UNetPlan::Change::resampling;
  p.groups = [o](std::int64_t c) { return o.groups(c); };
  p.block = [o, time = 4 * o.model_channels](std::int64_t in, std::int64_t out) {
    return ResBlockPlan{.in = in,
                        .out = out,
                        .time = time,
                        .groups = o.groups(in),
                        .groups_out = o.groups(out),
                        .scale_shift = o.scale_shift,
                        .names = {"in_layers.0", "in_layers.2", "emb_layers.1", "cond_emb_layers.1", "out_layers.0",
                                  "out_layers.3", "skip_connection"}};
  };
  p.attend = [o](std::int64_t c, bool up) {
    if (o.head_channels != -1)
      require(c % o.head_channels == 0, "num_head_channels = {} does not divide {} channels", o.head_channels, c);
    const std::int64_t heads = o.head_channels != -1 ? c / o.head_channels : up ? o.heads_up : o.heads;
    require(heads > 0 && c % heads == 0, "attention: {} channels do not divide into {} heads", c, heads);
    return AttentionPlan{
        .channels = c,
        .heads = heads,
        .head_width = c / heads,
        .norm = GroupNorm(c, o.groups(c), 1e-5),
        .order = o.new_order ? AttentionPlan::Order::qkv_head_channel : AttentionPlan::Order::head_qkv_channel,
        .names = {.norm = "norm", .qkv = {"qkv", "", ""}, .out = "proj_out"}};
  };
  p.key = cell_keys(o.updown);
  return p;
}

std::int64_t AdmOptions::groups(std::int64_t c) const { return few_groups ? std::min<std::int64_t>(c, 32) : 32; }

UNetEmbedding adm_embedding(std::int64_t width, std::int64_t out, const std::string& key) {
  UNetEmbedding e;
  e.projection = {.width = width, .weight = {}};
  e.linear_1.emplace(width, out);
  e.linear_2.emplace(out, out);
  e.key_1 = key + ".0";
  e.key_2 = key + ".2";
  return e;
}

std::string adm_defaults(const Config& config) {
  using nlohmann::json;
  const std::int64_t steps = size_from(config, "diffusion_steps", 1000, 2);
  json schedule = {{"type", "ddpm"}, {"num_train_timesteps", steps}};
  if (config.choice("noise_schedule", "linear", {"linear", "cosine"}) == "cosine") {
    schedule["beta_schedule"] = "squaredcos_cap_v2";
  } else {  // the betas of 1000 steps, scaled to their number
    schedule["beta_schedule"] = "linear";
    schedule["beta_start"] = 1e-4 * 1000 / static_cast<double>(steps);
    schedule["beta_end"] = 0.02 * 1000 / static_cast<double>(steps);
  }
  const bool rescaled = config.flag("rescale_timesteps", false);  // always 0 to 1000
  return json{{"prediction", config.flag("predict_xstart", false) ? "sample" : "epsilon"},
              {"schedule", schedule},
              {"sampling", {{"time_scale", rescaled ? 1000 / static_cast<double>(steps) : 1.0}}}}
      .dump();
}

}  // namespace costate
