// Reading a UNet2DModel configuration, and what UNet2DConditionModel shares with it. Every key is read in one place; nothing here
// knows tensors.
#include "nn/unet2d_plan.h"

#include <algorithm>
#include <numbers>
#include "nn/sizes.h"

namespace costate {
namespace {

using Style = LevelPlan::Style;
using Attention = AttentionChoice::Kind;
using Labels = EmbeddingPlan::Labels;

const std::vector<BlockName> down_names = {{.name = "DownBlock2D"},
                                           {"AttnDownBlock2D", Attention::pixels, std::nullopt},
                                           {"ResnetDownsampleBlock2D", Attention::none, Style::residual},
                                           {"SkipDownBlock2D", Attention::none, Style::pyramid},
                                           {"AttnSkipDownBlock2D", Attention::pixels, Style::pyramid},
                                           {"KDownBlock2D", Attention::none, Style::k},
                                           {"KCrossAttnDownBlock2D", Attention::k, Style::k}};
const std::vector<BlockName> up_names = {{.name = "UpBlock2D"},
                                         {"AttnUpBlock2D", Attention::pixels, std::nullopt},
                                         {"ResnetUpsampleBlock2D", Attention::none, Style::residual},
                                         {"SkipUpBlock2D", Attention::none, Style::pyramid},
                                         {"AttnSkipUpBlock2D", Attention::pixels, Style::pyramid},
                                         {"KUpBlock2D", Attention::none, Style::k},
                                         {"KCrossAttnUpBlock2D", Attention::k, Style::k}};

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

void read_labels(const Config& config, EmbeddingPlan& e) {
  const std::string kind = config.choice("class_embed_type", "", {"", "timestep", "identity"});
  const auto rows = config.maybe_integer("num_class_embeds");
  if (rows) static_cast<void>(size_from(config, "num_class_embeds", 1));
  e.vectors_as_z = true;
  if (kind == "timestep")
    e.labels = Labels::timestep;
  else if (kind == "identity")
    e.labels = Labels::identity;
  else if (rows)
    e.labels = Labels::table;
  if (e.labels == Labels::table) e.classes = *rows;
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

std::int64_t pyramid_groups(std::int64_t channels) { return std::min<std::int64_t>(channels / 4, 32); }

}  // namespace

std::int64_t UNet2DPlan::groups_of(std::int64_t of_channels) const {
  return groups.value_or(pyramid_groups(of_channels));
}

ResBlockPlan UNet2DPlan::res_block(std::int64_t in, std::int64_t out, double divisor, bool pyramid) const {
  return {.in = in,
          .out = out,
          .time = embedding.block_width(),
          .groups = pyramid ? pyramid_groups(in) : groups_of(in),
          .groups_out = pyramid ? pyramid_groups(out) : groups_of(out),
          .eps = eps,
          .activation = activation,
          .scale_shift = scale_shift,
          .divisor = pyramid ? std::numbers::sqrt2 : divisor};
}

bool UNet2DPlan::reads_context() const {
  const auto reads = [](const LevelPlan& level) { return level.attention.reads_context(); };
  return mid.attention.reads_context() || std::any_of(down.begin(), down.end(), reads) ||
         std::any_of(up.begin(), up.end(), reads);
}

std::vector<LevelPlan> read_blocks(const Config& config, const std::string& types,
                                   const std::vector<std::string>& otherwise, const std::vector<BlockName>& known,
                                   LevelPlan::Style style) {
  const auto given = config.texts(types);
  std::vector<LevelPlan> levels;
  for (const auto& name : given.empty() ? otherwise : given) {
    const std::string bare = name.rfind("UNetRes", 0) == 0 ? name.substr(7) : name;
    const auto at = std::find_if(known.begin(), known.end(), [&](const BlockName& each) { return each.name == bare; });
    if (at == known.end()) {
      std::string choices = "supported:";
      for (const auto& each : known) choices += fmt::format(" {}", each.name);
      config.unsupported(types, choices);
    }
    levels.push_back({.style = at->style.value_or(style), .attention = {.kind = at->attention}});
  }
  levels.back().resamples = false;
  return levels;
}

void read_common(const Config& config, UNet2DPlan& plan, std::int64_t usual_channels) {
  plan.in_channels = size_from(config, "in_channels", usual_channels);
  plan.out_channels = size_from(config, "out_channels", usual_channels);
  if (const auto size = config.integers("sample_size"); !size.empty()) {
    if (size.size() > 2 || !is_size(size[0]) || !is_size(size.back()))
      config.unsupported("sample_size", "wants one size, or height and width");
    plan.height = size[0];
    plan.width = size.back();
  }
  plan.centre = config.flag("center_input_sample", false);
  plan.downsample_padding = config.integer("downsample_padding", 1);
  if (plan.downsample_padding != 0 && plan.downsample_padding != 1)
    config.unsupported("downsample_padding", "supported: 0, 1");
  plan.activation = activation_from(config, "act_fn");
  plan.scale_shift = config.choice("resnet_time_scale_shift", "default", {"default", "scale_shift"}) == "scale_shift";
  plan.eps = config.number("norm_eps", 1e-5);
  // Null and absent differ.
  plan.groups = config.has("norm_num_groups") ? config.maybe_integer("norm_num_groups") : 32;
  if (plan.groups.value_or(1) < 1) config.unsupported("norm_num_groups", "must be positive");
  plan.mid.divisor = config.number("mid_block_scale_factor", 1);
  if (plan.mid.divisor == 0) config.unsupported("mid_block_scale_factor", "everything is divided by it");
}

void connect_levels(const Config& config, UNet2DPlan& plan) {
  const std::size_t levels = plan.channels.size();
  for (const auto c : plan.channels)
    if (!is_size(c)) config.unsupported("block_out_channels", fmt::format("wants 1 to {}", most_of_anything));
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
  }
}

void connect_k_blocks(const Config& config, UNet2DPlan& plan) {
  const auto is_k = [](const LevelPlan& level) { return level.style == Style::k; };
  const auto down = std::count_if(plan.down.begin(), plan.down.end(), is_k),
             up = std::count_if(plan.up.begin(), plan.up.end(), is_k), levels = std::ssize(plan.down);
  if (down + up == 0) return;
  if (down + up != 2 * levels) config.unsupported("down_block_types", "K blocks stand among K blocks only");
  plan.down.back().joins = plan.down.back().attention.kind != Attention::k;
  for (std::size_t i = 0; i < plan.up.size(); ++i) {
    LevelPlan& level = plan.up[i];
    const bool same = level.out == level.skip && level.out == plan.embedding.block_width();  // how diffusers knows the lowest
    level.joins = level.attention.kind != Attention::k || !same;
    if (level.joins != (i > 0 || plan.down.back().joins))
      config.unsupported("up_block_types",
                         "of K blocks that attend the first alone has no skip connection, and it alone must have the "
                         "channels of the next and of time_embedding_dim");
  }
  plan.any_size = false;
}

UNet2DPlan unet2d_plan(const Config& config) {
  UNet2DPlan plan;
  read_common(config, plan, 3);
  plan.channels = config.integers("block_out_channels");
  if (plan.channels.empty()) plan.channels = {224, 448, 672, 896};
  const auto style = [&](const char* key) {
    return config.choice(key, "conv", {"conv", "resnet"}) == "conv" ? Style::convolution : Style::residual;
  };
  const std::string attn_down = "AttnDownBlock2D", attn_up = "AttnUpBlock2D";
  plan.down = read_blocks(config, "down_block_types", {"DownBlock2D", attn_down, attn_down, attn_down}, down_names,
                          style("downsample_type"));
  plan.up =
      read_blocks(config, "up_block_types", {attn_up, attn_up, attn_up, "UpBlock2D"}, up_names, style("upsample_type"));
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
  read_labels(config, plan.embedding);
  connect_k_blocks(config, plan);
  const std::string mid = "UNetMidBlock2D";
  if (config.text("mid_block_type", mid) != mid) config.unsupported("mid_block_type", "supported: " + mid + ", null");
  if (config.is_null("mid_block_type")) plan.mid.layers = 0;
  read_attention(config, plan);
  return plan;
}

}  // namespace costate
