// Reading a UNet2DConditionModel configuration (Stable Diffusion 1, 2 and XL, DeepFloyd IF, Kandinsky, unCLIP).
#include <algorithm>

#include "nn/sizes.h"
#include "nn/unet2d_plan.h"

namespace costate {
namespace {

using Style = LevelPlan::Style;
using Attention = AttentionChoice::Kind;
using Norm = AttentionChoice::ContextNorm;
using Labels = EmbeddingPlan::Labels;
using Added = EmbeddingPlan::Added;
using Tokens = EmbeddingPlan::Tokens;

const std::vector<BlockName> down_names = {{.name = "DownBlock2D"},
                                           {"CrossAttnDownBlock2D", Attention::transformer},
                                           {"AttnDownBlock2D", Attention::pixels},
                                           {"ResnetDownsampleBlock2D", Attention::none, Style::residual},
                                           {"SimpleCrossAttnDownBlock2D", Attention::added, Style::residual},
                                           {"KDownBlock2D", Attention::none, Style::k},
                                           {"KCrossAttnDownBlock2D", Attention::k, Style::k}};
const std::vector<BlockName> up_names = {{.name = "UpBlock2D"},
                                         {"CrossAttnUpBlock2D", Attention::transformer},
                                         {"AttnUpBlock2D", Attention::pixels},
                                         {"ResnetUpsampleBlock2D", Attention::none, Style::residual},
                                         {"SimpleCrossAttnUpBlock2D", Attention::added, Style::residual},
                                         {"KUpBlock2D", Attention::none, Style::k},
                                         {"KCrossAttnUpBlock2D", Attention::k, Style::k}};

std::int64_t width(const Config& config, const std::string& key, const std::string& why) {
  const std::int64_t value = config.integer(key, 0);
  if (!is_size(value)) config.unsupported(key, fmt::format("{} wants it, from 1 to {}", why, most_of_anything));
  return value;
}

std::optional<Activation> maybe_activation(const Config& config, const std::string& key) {
  if (config.text(key, "").empty()) return std::nullopt;
  return activation_from(config, key);
}

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
  const auto one_layer = [](AttentionChoice& a) {
    if (a.dual) a.depths = {1};
  };
  for (auto* path : {&plan.down, &plan.up})
    for (auto& level : *path) one_layer(level.attention);
  one_layer(plan.mid.attention);
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
  const std::string norm = config.choice("cross_attention_norm", "", {"", "layer_norm", "group_norm"});
  const bool dual = config.flag("dual_cross_attention", false);
  if (dual) plan.embedding.given_tokens = DualTransformer::text + DualTransformer::picture;
  const auto fill = [&](AttentionChoice& a, std::size_t level, std::size_t head, std::int64_t channels,
                        bool only_context) {
    a.heads = heads[level];
    a.head_width = heads[head];
    a.groups = plan.groups_of(channels);
    a.eps = plan.eps;
    a.context = context[level];
    a.only_context = only_context && !dual;
    a.dual = dual;
    a.context_norm = norm == "layer_norm" ? Norm::layer : norm == "group_norm" ? Norm::group : Norm::none;
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
  const std::string cross = "CrossAttnDownBlock2D", up_cross = "CrossAttnUpBlock2D";
  plan.down =
      read_blocks(config, "down_block_types", {cross, cross, cross, "DownBlock2D"}, down_names, Style::convolution);
  plan.up =
      read_blocks(config, "up_block_types", {"UpBlock2D", up_cross, up_cross, up_cross}, up_names, Style::convolution);
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

void read_time(const Config& config, UNet2DPlan& plan) {
  EmbeddingPlan& e = plan.embedding;
  const bool fourier = config.choice("time_embedding_type", "positional", {"positional", "fourier"}) == "fourier";
  e.time = fourier ? TimeProjection::Kind::fourier : TimeProjection::Kind::positional;
  e.of_log = false;
  e.cos_first = config.flag("flip_sin_to_cos", true);
  e.freq_shift = config.number("freq_shift", 0);
  e.width = config.integer("time_embedding_dim", (fourier ? 2 : 4) * plan.channels[0]);
  if (!is_size(e.width) || (fourier && e.width % 2 != 0))
    config.unsupported("time_embedding_dim", "must be positive, and even for time_embedding_type = fourier");
  e.features = fourier ? e.width : plan.channels[0];
  e.activation = plan.activation;
  e.activation_after = maybe_activation(config, "timestep_post_act");
  e.activation_sum = maybe_activation(config, "time_embedding_act_fn");
  e.guidance = size_from(config, "time_cond_proj_dim", 0, 0);
}

void read_labels(const Config& config, EmbeddingPlan& e) {
  const std::string kind =
      config.choice("class_embed_type", "", {"", "timestep", "identity", "projection", "simple_projection"});
  const auto rows = config.maybe_integer("num_class_embeds");
  if (rows) static_cast<void>(size_from(config, "num_class_embeds", 1));
  e.labels = kind == "timestep"            ? Labels::timestep
             : kind == "identity"          ? Labels::identity
             : kind == "projection"        ? Labels::projection
             : kind == "simple_projection" ? Labels::linear
             : rows                        ? Labels::table
                                           : Labels::none;
  if (e.labels == Labels::table) e.classes = *rows;
  if (e.labels == Labels::projection || e.labels == Labels::linear)
    e.label_width = width(config, "projection_class_embeddings_input_dim", "class_embed_type = " + kind);
  e.concat = config.flag("class_embeddings_concat", false) && e.labels != Labels::none;
  if (config.flag("class_embeddings_concat", false) && !e.concat)
    config.unsupported("class_embeddings_concat", "there is no class embedding to put beside the time's");
}

void read_text(const Config& config, EmbeddingPlan& e) {
  const auto hidden = config.maybe_integer("encoder_hid_dim");
  const std::string kind = config.choice("encoder_hid_dim_type", hidden ? "text_proj" : "",
                                         {"", "text_proj", "text_image_proj", "image_proj"});
  if (!kind.empty()) e.given_width = width(config, "encoder_hid_dim", "encoder_hid_dim_type = " + kind);
  e.tokens = kind == "text_proj"         ? Tokens::text
             : kind == "text_image_proj" ? Tokens::text_image
             : kind == "image_proj"      ? Tokens::image
                                         : Tokens::given;
  if (e.given_tokens > 0 && (e.tokens == Tokens::image || e.tokens == Tokens::text_image))
    config.unsupported("encoder_hid_dim_type", "dual_cross_attention wants its tokens as they are given");
  const std::string added =
      config.choice("addition_embed_type", "", {"", "text", "text_image", "text_time", "image", "image_hint"});
  e.added = added == "text"         ? Added::text
            : added == "text_image" ? Added::text_image
            : added == "text_time"  ? Added::text_time
            : added == "image"      ? Added::image
            : added == "image_hint" ? Added::image_hint
                                    : Added::none;
  if (e.added != Added::none && e.concat)
    config.unsupported("addition_embed_type", "a sum with a class embedding put beside the time's is not defined");
  e.pool_heads = config.integer("addition_embed_type_num_heads", 64);
  if (e.added == Added::text && (e.pool_heads < 1 || e.given_width % e.pool_heads != 0))
    config.unsupported("addition_embed_type_num_heads", fmt::format("must divide the text's width {}", e.given_width));
  if (e.added == Added::text_image) e.added_width = e.context_width;
  if (e.added == Added::image || e.added == Added::image_hint)
    e.added_width = width(config, "encoder_hid_dim", "addition_embed_type = " + added);
  if (e.added == Added::text_time) {
    e.added_width = width(config, "projection_class_embeddings_input_dim", "addition_embed_type = text_time");
    e.id_width = width(config, "addition_time_embed_dim", "addition_embed_type = text_time");
  }
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
  read_time(config, plan);
  read_labels(config, plan.embedding);
  connect_k_blocks(config, plan);
  read_text(config, plan.embedding);
  return plan;
}

}  // namespace costate
