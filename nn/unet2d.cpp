// Building and evaluating UNet2D.
#include "nn/unet2d.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"

namespace costate {
namespace {

/// A mask as what it adds to scores: 0 where a token counts, -10000 where not (diffusers' number).
Tensor score_bias(const Inputs& in, const std::string& name) {
  const auto at = in.extra.find(name);
  return at == in.extra.end() ? Tensor() : (cast(at->second, in.x.dtype()) - 1) * 10000;
}

/// Channels that arrive beside those of x: the hint's.
std::int64_t hint_channels(const UNet2DPlan& plan) {
  return plan.embedding.added == EmbeddingPlan::Added::image_hint ? 4 : 0;
}

}  // namespace

UNet2D::UNet2D(const UNet2DPlan& p)
    : conv_in(p.in_channels, p.channels[0], p.kernel_in),
      embedding(p.embedding, p.family),
      conv_out(p.channels[0], p.out_channels, p.kernel_out),
      plan(p) {
  if (p.norm_out) conv_norm_out.emplace(p.channels[0], p.groups_of(p.channels[0]), p.eps);
  for (const auto& level : p.down) down_blocks.emplace_back(p, level);
  if (p.mid.layers > 0) mid_block.emplace(p);
  for (const auto& level : p.up) up_blocks.emplace_back(p, level);
}

void UNet2D::check(const Tensor& x) const {
  const std::int64_t step = plan.any_size ? 1 : std::int64_t{1} << (plan.down.size() - 1);
  const std::int64_t channels = plan.in_channels - hint_channels(plan);
  require(x.rank() == 4 && x.dim(3) == channels && x.dim(1) % step == 0 && x.dim(2) % step == 0,
          "{}: wants x (n, h, w, {}) with h and w divisible by {}, got {}", plan.family, channels, step, x.shape());
}

std::vector<const ResBlock*> UNet2D::told_blocks() const {
  std::vector<const ResBlock*> found;
  const auto look = [&](const auto& block) {
    if (!block.raw_time)
      for_each_struct(block, [&](const auto& part) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(part)>, ResBlock>) found.push_back(&part);
      });
  };
  for (const auto& block : down_blocks) look(block);
  if (mid_block) look(*mid_block);
  for (const auto& block : up_blocks) look(block);
  return found;
}

BlockInputs UNet2D::block_inputs(const Inputs& in, const std::vector<double>& t) const {
  BlockInputs all;
  const Tensor raw = embedding(in, t);
  all.raw_time = BlockTime(raw);
  all.time = BlockTime(activate(plan.activation, raw), told_blocks());
  all.context.tokens = embedding.tokens(in);
  require(all.context.tokens.defined() || !plan.reads_context(),
          "{}: this network attends to tokens z (n, tokens, {}), and none were given", plan.family,
          plan.embedding.given_width);
  all.context.token_bias = score_bias(in, "encoder_attention_mask");
  all.context.pixel_bias = score_bias(in, "attention_mask");
  return all;
}

Tensor UNet2D::operator()(const Inputs& in) const {
  check(in.x);
  const std::vector<double> t = per_row("times", in.t, in.x.dim(0));
  const BlockInputs beside = block_inputs(in, t);
  Tensor image = plan.centre ? in.x * 2 - 1 : in.x;
  if (const Tensor hint = embedding.hint(in); hint.defined()) image = concat({image, hint}, 3);
  Tensor h = conv_in(image);
  Tensors skips{h};
  for (const auto& block : down_blocks) h = block(std::move(h), beside, skips, image);
  if (mid_block) h = (*mid_block)(std::move(h), beside);
  image = Tensor();
  for (const auto& block : up_blocks) h = block(std::move(h), beside, skips, image);
  h = conv_out(conv_norm_out ? conv_norm_out->then(plan.activation_out, h) : h);
  if (image.defined()) h = h + image;
  if (!plan.divide_by_time) return h;
  std::vector<double> inverse;
  for (const double sigma : t) inverse.push_back(1 / sigma);
  return h * Tensor::from(inverse, {h.dim(0), 1, 1, 1}, h.kind());
}

Signature UNet2D::signature() const {
  Signature s;
  s.input = {plan.height, plan.width, plan.in_channels - hint_channels(plan)};
  s.out_channels = plan.out_channels;
  embedding.describe(s, plan.reads_context());
  const auto attends = [](const LevelPlan& level) { return level.attention.kind != AttentionChoice::Kind::none; };
  std::vector<std::int64_t> layers;
  for (const auto& level : plan.down) layers.push_back(level.layers);
  if (std::all_of(layers.begin(), layers.end(), [&](std::int64_t each) { return each == layers[0]; }))
    layers = {layers[0]};
  s.summary = fmt::format("U-Net, {} channels, {} residual blocks a level, {}attention in {} of {} levels",
                          fmt::join(plan.channels, "-"), fmt::join(layers, "-"), plan.reads_context() ? "cross-" : "",
                          std::count_if(plan.down.begin(), plan.down.end(), attends), plan.down.size());
  return s;
}

std::vector<std::pair<std::string, std::string>> UNet2D::spellings() const {
  return {{"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}};
}

}  // namespace costate
