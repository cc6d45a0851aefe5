// Reading a UNet2DModel configuration. Every key is read in one place; nothing here knows tensors.
#include "nn/unet2d_plan.h"

#include <algorithm>
#include <array>
#include <numbers>
#include <string_view>

namespace costate {
namespace {

using Style = LevelPlan::Style;

/// What a block name means; no style: `downsample_type` or `upsample_type` decides.
struct BlockName {
  std::string_view name;
  bool attention;
  std::optional<Style> style;
};
using BlockNames = std::array<BlockName, 5>;
constexpr BlockNames down_names = {{{"DownBlock2D", false, Style::convolution},
                                    {"AttnDownBlock2D", true, std::nullopt},
                                    {"ResnetDownsampleBlock2D", false, Style::residual},
                                    {"SkipDownBlock2D", false, Style::pyramid},
                                    {"AttnSkipDownBlock2D", true, Style::pyramid}}};
constexpr BlockNames up_names = {{{"UpBlock2D", false, Style::convolution},
                                  {"AttnUpBlock2D", true, std::nullopt},
                                  {"ResnetUpsampleBlock2D", false, Style::residual},
                                  {"SkipUpBlock2D", false, Style::pyramid},
                                  {"AttnSkipUpBlock2D", true, Style::pyramid}}};

/// The blocks listed under `types`, without channels.
std::vector<LevelPlan> read_levels(const Config& config, const std::string& types, std::vector<std::string> names,
                                   const BlockNames& known, const std::string& style_key) {
  if (const auto given = config.texts(types); !given.empty()) names = given;
  const Style style =
      config.choice(style_key, "conv", {"conv", "resnet"}) == "conv" ? Style::convolution : Style::residual;
  std::vector<LevelPlan> levels;
  for (const auto& name : names) {
    const std::string bare = name.rfind("UNetRes", 0) == 0 ? name.substr(7) : name;
    const auto at = std::find_if(known.begin(), known.end(), [&](const BlockName& each) { return each.name == bare; });
    if (at == known.end()) {
      std::string choices = "supported:";
      for (const auto& each : known) choices += fmt::format(" {}", each.name);
      config.unsupported(types, choices);
    }
    levels.push_back({.style = at->style.value_or(style), .attention = at->attention});
  }
  levels.back().resamples = false;
  return levels;
}

void read_levels(const Config& config, UNet2DPlan& plan) {
  plan.channels = config.integers("block_out_channels");
  if (plan.channels.empty()) plan.channels = {224, 448, 672, 896};
  const std::string attn_down = "AttnDownBlock2D", attn_up = "AttnUpBlock2D";
  plan.down = read_levels(config, "down_block_types", {"DownBlock2D", attn_down, attn_down, attn_down}, down_names,
                          "downsample_type");
  plan.up = read_levels(config, "up_block_types", {attn_up, attn_up, attn_up, "UpBlock2D"}, up_names, "upsample_type");
  const std::size_t levels = plan.channels.size();
  for (const auto c : plan.channels)
    if (c < 1) config.unsupported("block_out_channels", "channels must be positive");
  if (plan.down.size() != levels)
    config.unsupported("down_block_types", fmt::format("wants one for each of {} block_out_channels", levels));
  if (plan.up.size() != levels)
    config.unsupported("up_block_types", fmt::format("wants one for each of {} block_out_channels", levels));
  for (std::size_t i = 0; i < levels; ++i) {
    const std::size_t mirror = levels - 1 - i;
    plan.down[i].in = plan.channels[i == 0 ? 0 : i - 1];
    plan.down[i].out = plan.channels[i];
    plan.up[i].in = plan.channels[std::min(mirror + 1, levels - 1)];
    plan.up[i].out = plan.channels[mirror];
    plan.up[i].skip = plan.channels[mirror == 0 ? 0 : mirror - 1];
    const bool pyramid = plan.down[i].pyramid() || plan.up[i].pyramid();
    if (pyramid && plan.in_channels != 3) config.unsupported("in_channels", "Skip blocks work on images of 3 channels");
    if (pyramid && plan.out_channels != 3)
      config.unsupported("out_channels", "Skip blocks work on images of 3 channels");
  }
}

void read_time(const Config& config, UNet2DPlan& plan) {
  const std::string kind = config.choice("time_embedding_type", "positional", {"positional", "fourier", "learned"});
  plan.cos_first = config.flag("flip_sin_to_cos", true);
  plan.freq_shift = config.number("freq_shift", 0);
  plan.time_width = config.integer("time_embedding_dim", 4 * plan.channels[0]);
  if (plan.time_width < 1) config.unsupported("time_embedding_dim", "must be positive");
  if (kind == "fourier") plan.time = TimeProjection::Kind::fourier;
  if (kind != "learned") return;
  plan.time = TimeProjection::Kind::learned;
  plan.time_steps = config.integer("num_train_timesteps", 0);
  if (plan.time_steps < 1)
    config.unsupported("num_train_timesteps", "time_embedding_type = learned wants the number of rows");
}

void read_labels(const Config& config, UNet2DPlan& plan) {
  const std::string kind = config.choice("class_embed_type", "", {"", "timestep", "identity"});
  const auto rows = config.maybe_integer("num_class_embeds");
  if (rows && *rows < 1) config.unsupported("num_class_embeds", "must be positive");
  if (kind == "timestep")
    plan.labels = UNet2DPlan::Labels::timestep;
  else if (kind == "identity")
    plan.labels = UNet2DPlan::Labels::identity;
  else if (rows)
    plan.labels = UNet2DPlan::Labels::table;
  if (plan.labels == UNet2DPlan::Labels::table) plan.classes = *rows;
}

void read_norms(const Config& config, UNet2DPlan& plan) {
  plan.activation = activation_from(config, "act_fn");
  plan.scale_shift = config.choice("resnet_time_scale_shift", "default", {"default", "scale_shift"}) == "scale_shift";
  plan.eps = config.number("norm_eps", 1e-5);
  // For these, null and absent differ.
  plan.groups = config.has("norm_num_groups") ? config.maybe_integer("norm_num_groups") : 32;
  plan.head_width = config.has("attention_head_dim") ? config.maybe_integer("attention_head_dim") : 8;
  plan.attn_groups = config.maybe_integer("attn_norm_num_groups");
  if (plan.groups.value_or(1) < 1) config.unsupported("norm_num_groups", "must be positive");
  if (plan.attn_groups.value_or(1) < 1) config.unsupported("attn_norm_num_groups", "must be positive");
  if (plan.head_width.value_or(1) < 1) config.unsupported("attention_head_dim", "must be positive");
  for (const auto* path : {&plan.down, &plan.up})
    for (const auto& level : *path)
      if (!plan.groups && !level.pyramid())
        config.unsupported("norm_num_groups", "only Skip blocks count their groups themselves");
}

std::int64_t pyramid_groups(std::int64_t channels) { return std::min<std::int64_t>(channels / 4, 32); }

}  // namespace

std::int64_t UNet2DPlan::groups_of(std::int64_t of_channels) const {
  return groups.value_or(pyramid_groups(of_channels));
}

ResBlockPlan UNet2DPlan::res_block(std::int64_t in, std::int64_t out, bool pyramid) const {
  return {.in = in,
          .out = out,
          .time = time_width,
          .groups = pyramid ? pyramid_groups(in) : groups_of(in),
          .groups_out = pyramid ? pyramid_groups(out) : groups_of(out),
          .eps = eps,
          .activation = activation,
          .scale_shift = scale_shift,
          .divisor = pyramid ? std::numbers::sqrt2 : 1};
}

UNet2DPlan unet2d_plan(const Config& config) {
  UNet2DPlan plan;
  plan.in_channels = config.integer("in_channels", 3);
  plan.out_channels = config.integer("out_channels", 3);
  if (plan.in_channels < 1) config.unsupported("in_channels", "must be positive");
  if (plan.out_channels < 1) config.unsupported("out_channels", "must be positive");
  if (const auto size = config.integers("sample_size"); !size.empty()) {
    if (size.size() > 2 || size[0] < 1 || size.back() < 1)
      config.unsupported("sample_size", "wants one size, or height and width");
    plan.height = size[0];
    plan.width = size.back();
  }
  plan.centre = config.flag("center_input_sample", false);
  plan.layers = config.integer("layers_per_block", 2);
  if (plan.layers < 1) config.unsupported("layers_per_block", "must be positive");
  plan.downsample_padding = config.integer("downsample_padding", 1);
  if (plan.downsample_padding != 0 && plan.downsample_padding != 1)
    config.unsupported("downsample_padding", "supported: 0, 1");
  read_levels(config, plan);
  read_time(config, plan);
  read_labels(config, plan);
  read_norms(config, plan);
  const std::string mid = "UNetMidBlock2D";
  plan.mid = !config.is_null("mid_block_type");
  if (config.text("mid_block_type", mid) != mid) config.unsupported("mid_block_type", "supported: " + mid + ", null");
  plan.mid_attention = config.flag("add_attention", true);
  plan.mid_divisor = config.number("mid_block_scale_factor", 1);
  if (plan.mid_divisor == 0) config.unsupported("mid_block_scale_factor", "everything is divided by it");
  return plan;
}

}  // namespace costate
