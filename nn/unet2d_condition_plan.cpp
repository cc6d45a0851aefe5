// Reading a UNet2DConditionModel configuration (Stable Diffusion 1, 2 and XL, DeepFloyd IF, Kandinsky, unCLIP): its blocks and
// their attention.
#include <algorithm>

#include "nn/sizes.h"
#include "nn/unet2d_plan.h"

namespace costate {
namespace {

using Style = LevelPlan::Style;
using Attention = AttentionChoice::Kind;
using Norm = AttentionChoice::ContextNorm;

const std::vector<BlockName> block_names = {{.name = "{}Block2D"},
                                            {"CrossAttn{}Block2D", Attention::transformer},
                                            {"Attn{}Block2D", Attention::pixels},
                                            {"Resnet{}sampleBlock2D", Attention::none, Style::residual},
                                            {"SimpleCrossAttn{}Block2D", Attention::added, Style::residual},
                                            {"K{}Block2D", Attention::none, Style::k},
                                            {"KCrossAttn{}Block2D", Attention::k, Style::k}};

/// Layers of transformers for each level of a path, which has one attention a residual block.
std::vector<std::vector<std::int64_t>> depths_of(const Config& config, const std::string& key,
                                                 const std::vector<LevelPlan>& path,
                                                 std::vector<std::vector<std::int64_t>> given) {
  given = each_level(config, key, given, path.size());
  for (std::size_t i = 0; i < path.size(); ++i) {
    const std::size_t most = static_cast<std::size_t>(path[i].layers);
    const bool counts = given[i].size() == 1 || given[i].size() >= most;
    if (!counts ||
        std::any_of(given[i].begin(), given[i].end(), [](std::int64_t n) { return n < 1 || n > most_in_a_row; }))
      config.unsupported(key, fmt::format("level {} wants a positive number, or {} of them", i, most));
  }
  return given;
}

void read_depths(const Config& config, UNet2DPlan& plan) {
  const std::string key = "transformer_layers_per_block", up_key = "reverse_transformer_layers_per_block";
  auto down = config.integer_lists(key), up = config.integer_lists(up_key);
  if (down.empty()) down = {{1}};
  down = depths_of(config, key, plan.down, down);
  if (up.empty()) {
    up.assign(down.rbegin(), down.rend());
    for (const auto& each : up)
      if (each.size() > 1) config.unsupported(up_key, "a nested " + key + " wants it");
  }
  up = depths_of(config, up_key, plan.up, up);
  for (std::size_t i = 0; i < down.size(); ++i) {
    plan.down[i].attention.depths = down[i];
    plan.up[i].attention.depths = up[i];
  }
  plan.mid.attention.depths = {down.back().front()};
}

void read_mid(const Config& config, UNet2DPlan& plan) {
  const std::string cross = "UNetMidBlock2DCrossAttn", simple = "UNetMidBlock2DSimpleCrossAttn";
  const std::string kind = config.choice("mid_block_type", cross, {cross, simple, "UNetMidBlock2D"});
  plan.mid.layers = config.is_null("mid_block_type") ? 0 : kind == "UNetMidBlock2D" ? 1 : 2;
  if (plan.mid.layers == 2) plan.mid.attention.kind = kind == cross ? Attention::transformer : Attention::added;
}

/// Levels: heads, widths, norms. The configuration's attention_head_dim is the number of heads in CrossAttn blocks and the
/// channels of one in the others, where the way up reads a list from its front; published weights were trained so.
void read_attention(const Config& config, UNet2DPlan& plan) {
  const std::size_t levels = plan.channels.size();
  if (config.is_null("attention_head_dim")) config.unsupported("attention_head_dim", "must be a number or a list");
  const auto heads = sizes_each_level(config, "attention_head_dim", 8, levels);
  const auto context = sizes_each_level(config, "cross_attention_dim", 1280, levels);
  const auto only = config.flags("only_cross_attention");
  const bool one_flag = config.extents("only_cross_attention").empty();
  const auto only_level =
      each_level(config, "only_cross_attention", only.empty() ? std::vector<bool>{false} : only, levels);
  const Norm norm = meaning_of<Norm>(config, "cross_attention_norm", "",
                                     {{"", Norm::none}, {"layer_norm", Norm::layer}, {"group_norm", Norm::group}});
  const bool dual = config.flag("dual_cross_attention", false);
  const auto fill = [&](AttentionChoice& a, std::size_t level, std::size_t head, std::int64_t channels,
                        bool only_context) {
    a.heads = heads[level];
    a.head_width = heads[head];
    a.groups = plan.groups_of(channels);
    a.eps = plan.eps;
    a.context = context[level];
    a.dual = dual && a.kind == Attention::transformer;
    a.only_context = only_context && !a.dual;
    a.context_norm = norm;
  };
  for (std::size_t i = 0; i < levels; ++i) {
    const std::size_t mirror = levels - 1 - i;
    fill(plan.down[i].attention, i, i, plan.down[i].out, only_level[i]);
    fill(plan.up[i].attention, mirror, i, plan.up[i].out, only_level[mirror]);
  }
  const bool mid_only = config.flag("mid_block_only_cross_attention", one_flag && only_level[0]);
  fill(plan.mid.attention, levels - 1, levels - 1, plan.channels.back(),
       mid_only && plan.mid.attention.kind == Attention::added);
  plan.embedding.context_width = plan.embedding.given_width = context[0];
  if (std::any_of(context.begin(), context.end(), [&](std::int64_t each) { return each != context[0]; }))
    config.unsupported("cross_attention_dim", "all blocks read the same tokens; wants one width");
}

void read_blocks_of_levels(const Config& config, UNet2DPlan& plan) {
  plan.down = read_blocks(config, "down",
                          {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"},
                          block_names, Style::convolution);
  plan.up = read_blocks(config, "up", {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"},
                        block_names, Style::convolution);
  connect_levels(config, plan);
  const std::size_t levels = plan.channels.size();
  const auto layers = sizes_each_level(config, "layers_per_block", 2, levels, most_in_a_row);
  const bool raw_time = config.flag("resnet_skip_time_act", false);
  const double divisor = config.number("resnet_out_scale_factor", 1);
  if (divisor == 0) config.unsupported("resnet_out_scale_factor", "everything is divided by it");
  for (std::size_t i = 0; i < levels; ++i) {
    plan.down[i].layers = layers[i];
    plan.up[i].layers = layers[levels - 1 - i] + 1;
  }
  for (auto* path : {&plan.down, &plan.up})
    for (auto& level : *path)
      if (level.style == Style::residual) level.raw_time = raw_time, level.divisor = divisor;
  read_mid(config, plan);
  plan.mid.raw_time = raw_time && plan.mid.attention.kind == Attention::added;
}

std::int64_t kernel(const Config& config, const std::string& key) {
  const std::int64_t k = config.integer(key, 3);
  if (k < 1 || k % 2 == 0) config.unsupported(key, "must be odd, so that the image keeps its size");
  return k;
}

void refuse(const Config& config) {
  if (!config.is_null("num_attention_heads") && config.has("num_attention_heads"))
    config.unsupported("num_attention_heads",
                       "diffusers reads attention_head_dim as the number of heads; supported: null");
  static_cast<void>(config.choice("attention_type", "default", {"default"}));
}

}  // namespace

UNet2DPlan unet2d_condition_plan(const Config& config) {
  refuse(config);
  UNet2DPlan plan;
  plan.family = "unet2d_condition";
  plan.any_size = true;
  read_common(config, plan, 4);
  plan.activation_out = plan.activation;
  plan.kernel_in = kernel(config, "conv_in_kernel");
  plan.kernel_out = kernel(config, "conv_out_kernel");
  plan.channels = config.integers("block_out_channels");
  if (plan.channels.empty()) plan.channels = {320, 640, 1280, 1280};
  read_blocks_of_levels(config, plan);
  plan.norm_out = plan.groups.has_value();
  const auto counts = [](const LevelPlan& level) { return level.counts_groups(); };
  if (!plan.groups && !std::all_of(plan.down.begin(), plan.down.end(), counts))
    config.unsupported("norm_num_groups", "only K blocks count their groups themselves");
  read_attention(config, plan);
  read_depths(config, plan);
  read_condition(config, plan);
  connect_k_blocks(config, plan);
  return plan;
}

}  // namespace costate
