// What the plans of both diffusers U-Nets share: the keys that both configurations have, and how their levels join.
#include <algorithm>
#include <numbers>

#include "nn/sizes.h"
#include "nn/unet2d_plan.h"

namespace costate {
namespace {

using Style = LevelPlan::Style;
using Attention = AttentionChoice::Kind;
using Labels = EmbeddingPlan::Labels;

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

std::vector<LevelPlan> read_blocks(const Config& config, const std::string& path,
                                   const std::vector<std::string>& otherwise, const std::vector<BlockName>& known,
                                   LevelPlan::Style style) {
  const std::string types = path + "_block_types", way = path == "down" ? "Down" : "Up";
  const auto full = [&](const BlockName& each) { return fmt::format(fmt::runtime(each.name), way); };
  const auto given = config.texts(types);
  std::vector<LevelPlan> levels;
  for (const auto& name : given.empty() ? otherwise : given) {
    const std::string bare = name.rfind("UNetRes", 0) == 0 ? name.substr(7) : name;
    const auto at = std::find_if(known.begin(), known.end(), [&](const BlockName& each) { return full(each) == bare; });
    if (at == known.end()) {
      std::string choices = "supported:";
      for (const auto& each : known) choices += " " + full(each);
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
  std::tie(plan.height, plan.width) = sides_from(config, "sample_size", {plan.height, plan.width});
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

void read_labels(const Config& config, EmbeddingPlan& e, const LabelNames& kinds) {
  const std::int64_t rows = size_from(config, "num_class_embeds", 0, config.maybe_integer("num_class_embeds") ? 1 : 0);
  e.labels = meaning_of(config, "class_embed_type", "", kinds);
  if (e.labels == Labels::none && rows > 0) e.labels = Labels::table;
  if (e.labels == Labels::table) e.classes = rows;
  if (e.labels == Labels::projection || e.labels == Labels::linear)
    e.label_width = width_for(config, "projection_class_embeddings_input_dim", "class_embed_type");
}

std::int64_t width_for(const Config& config, const std::string& key, const std::string& why) {
  const std::int64_t value = config.integer(key, 0);
  if (!is_size(value)) config.unsupported(key, fmt::format("{} wants it, from 1 to {}", why, most_of_anything));
  return value;
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
    const bool same =
        level.out == level.skip && level.out == plan.embedding.block_width();  // how diffusers knows the lowest
    level.joins = level.attention.kind != Attention::k || !same;
    if (level.joins != (i > 0 || plan.down.back().joins))
      config.unsupported("up_block_types",
                         "of K blocks that attend the first alone has no skip connection, and it alone must have the "
                         "channels of the next and of time_embedding_dim");
  }
  plan.any_size = false;
}

}  // namespace costate
