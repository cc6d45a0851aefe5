// Reading a UNet2DModel configuration. Every key is read in one place; nothing here knows tensors.
#include <algorithm>
#include <numbers>

#include "nn/sizes.h"
#include "nn/unet2d_plan.h"

namespace costate {
namespace {

using Style = LevelPlan::Style;
using Attention = AttentionChoice::Kind;
using Labels = EmbeddingPlan::Labels;

const std::vector<BlockName> block_names = {{.name = "{}Block2D"},
                                            {"Attn{}Block2D", Attention::pixels, std::nullopt},
                                            {"Resnet{}sampleBlock2D", Attention::none, Style::residual},
                                            {"Skip{}Block2D", Attention::none, Style::pyramid},
                                            {"AttnSkip{}Block2D", Attention::pixels, Style::pyramid},
                                            {"K{}Block2D", Attention::none, Style::k},
                                            {"KCrossAttn{}Block2D", Attention::k, Style::k}};

void read_time(const Config& config, UNet2DPlan& plan) {
  EmbeddingPlan& e = plan.embedding;
  const std::string kind = config.choice("time_embedding_type", "positional", {"positional", "fourier", "learned"});
  const bool cos_first = config.flag("flip_sin_to_cos", true);
  const std::int64_t rows = size_from(config, "num_train_timesteps", 0, 0);
  e.freq_shift = config.number("freq_shift", 0);
  e.width = size_from(config, "time_embedding_dim", 4 * plan.channels[0]);
  e.features = kind == "fourier" ? 2 * plan.channels[0] : plan.channels[0];
  e.cos_first = cos_first && kind != "fourier";
  plan.divide_by_time = kind == "fourier";
  if (kind == "fourier") e.time = TimeProjection::Kind::fourier;
  if (kind != "learned") return;
  e.time = TimeProjection::Kind::learned;
  e.time_steps = rows;
  if (rows < 1) config.unsupported("num_train_timesteps", "time_embedding_type = learned wants the number of rows");
}

/// Heads, norms and divisors of the attention in levels and middle.
void read_attention(const Config& config, UNet2DPlan& plan) {
  // For these, null and absent differ.
  const auto head_width =
      config.has("attention_head_dim") ? config.maybe_integer("attention_head_dim") : std::optional<std::int64_t>(8);
  if (head_width.value_or(1) < 1) config.unsupported("attention_head_dim", "must be positive");
  const auto choice = [&](std::int64_t channels, std::int64_t groups, double divisor) {
    return AttentionChoice{.kind = Attention::pixels,
                           .head_width = head_width.value_or(channels),
                           .groups = groups,
                           .eps = plan.eps,
                           .divisor = divisor};
  };
  constexpr std::int64_t pyramid_groups = 32;  // whatever the channels
  for (auto* path : {&plan.down, &plan.up})
    for (auto& level : *path)
      if (level.attention.kind == Attention::k)
        level.attention.head_width = head_width.value_or(level.out);
      else if (level.attention.kind == Attention::pixels)
        level.attention = level.pyramid() ? choice(level.out, pyramid_groups, std::numbers::sqrt2)
                                          : choice(level.out, plan.groups_of(level.out), 1);
  const auto mid_groups = config.maybe_integer("attn_norm_num_groups");
  if (mid_groups.value_or(1) < 1) config.unsupported("attn_norm_num_groups", "must be positive");
  if (config.flag("add_attention", true) && plan.mid.layers > 0) {
    const std::int64_t channels = plan.channels.back();
    plan.mid.attention = choice(channels, plan.groups_of(channels), plan.mid.divisor);
    if (mid_groups || plan.scale_shift) plan.mid.attention.groups = mid_groups;
  }
}

}  // namespace

UNet2DPlan unet2d_plan(const Config& config) {
  UNet2DPlan plan;
  read_common(config, plan, 3);
  plan.channels = config.integers("block_out_channels");
  if (plan.channels.empty()) plan.channels = {224, 448, 672, 896};
  const auto style = [&](const char* key) {
    return config.choice(key, "conv", {"conv", "resnet"}) == "conv" ? Style::convolution : Style::residual;
  };
  const std::string attn_down = "AttnDownBlock2D", attn_up = "AttnUpBlock2D";
  plan.down = read_blocks(config, "down", {"DownBlock2D", attn_down, attn_down, attn_down}, block_names,
                          style("downsample_type"));
  plan.up = read_blocks(config, "up", {attn_up, attn_up, attn_up, "UpBlock2D"}, block_names, style("upsample_type"));
  connect_levels(config, plan);
  const std::int64_t layers = count_from(config, "layers_per_block", 2);
  for (auto& level : plan.down) level.layers = layers;
  for (auto& level : plan.up) level.layers = layers + 1;
  for (const auto* path : {&plan.down, &plan.up})
    for (const auto& level : *path) {
      if (!level.counts_groups() && !plan.groups)
        config.unsupported("norm_num_groups", "only Skip and K blocks count their groups themselves");
      for (const char* key : {"in_channels", "out_channels"})
        if (level.pyramid() && config.integer(key, 3) != 3)
          config.unsupported(key, "Skip blocks work on images of 3 channels");
    }
  read_time(config, plan);
  plan.embedding.vectors_as_z = true;
  read_labels(config, plan.embedding,
              {{"", Labels::none}, {"timestep", Labels::timestep}, {"identity", Labels::identity}});
  connect_k_blocks(config, plan);
  const std::string mid = "UNetMidBlock2D";
  if (config.text("mid_block_type", mid) != mid) config.unsupported("mid_block_type", "supported: " + mid + ", null");
  if (config.is_null("mid_block_type")) plan.mid.layers = 0;
  read_attention(config, plan);
  return plan;
}

}  // namespace costate
