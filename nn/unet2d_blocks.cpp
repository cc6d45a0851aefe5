// Building and running the blocks of UNet2D (diffusers' unet_2d_blocks).
#include "nn/unet2d_blocks.h"

#include <algorithm>
#include <numbers>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/resample.h"

namespace costate {
namespace {

using Style = LevelPlan::Style;
constexpr std::int64_t image_channels = 3;        // of a pyramid
constexpr std::int64_t pyramid_attn_groups = 32;  // whatever the channels

/// As many heads of `head_width` channels as go into the image's; what is left over is not attended to, as in diffusers.
AttentionBlock attention_block(std::int64_t channels, const std::optional<std::int64_t>& head_width,
                               const std::optional<GroupNorm>& norm, double divisor) {
  const std::int64_t width = head_width.value_or(channels);
  return AttentionBlock(
      {.channels = channels, .heads = channels / width, .head_width = width, .norm = norm, .divisor = divisor});
}

AttentionBlock attention_of(const UNet2DPlan& plan, const LevelPlan& level) {
  const std::int64_t groups = level.pyramid() ? pyramid_attn_groups : plan.groups_of(level.out);
  return attention_block(level.out, plan.head_width, GroupNorm(level.out, groups, plan.eps),
                         level.pyramid() ? std::numbers::sqrt2 : 1);
}

/// The residual block that changes the size of a level.
ResBlock resampler(const UNet2DPlan& plan, const LevelPlan& level, Resampling plain, Resampling fir) {
  ResBlockPlan block = plan.res_block(level.out, level.out, level.pyramid());
  block.resampling = level.pyramid() ? fir : plain;
  block.project = level.pyramid();
  return ResBlock(block);
}

}  // namespace

DownBlock::DownBlock(const UNet2DPlan& plan, const LevelPlan& level) : pyramid(level.pyramid()) {
  for (std::int64_t i = 0; i < plan.layers; ++i) {
    resnets.emplace_back(plan.res_block(i == 0 ? level.in : level.out, level.out, pyramid));
    if (level.attention) attentions.push_back(attention_of(plan, level));
  }
  if (!level.resamples) return;
  const std::int64_t before = plan.downsample_padding;  // padding 0 still adds one row and column at the far ends
  if (level.style == Style::convolution)
    conv.emplace(level.out, level.out, 3,
                 ConvGeometry{.stride_h = 2, .stride_w = 2, .top = before, .bottom = 1, .left = before, .right = 1});
  else
    resnet = resampler(plan, level, Resampling::mean_down, Resampling::fir_down);
  if (pyramid) skip_conv.emplace(image_channels, level.out, 1);
}

Tensor DownBlock::operator()(Tensor h, const Tensor& time, Tensors& skips, Tensor& image) const {
  for (std::size_t i = 0; i < resnets.size(); ++i) {
    h = resnets[i](h, time);
    if (!attentions.empty()) h = attentions[i](h);
    skips.push_back(h);
  }
  if (!conv && !resnet) return h;
  h = conv ? (*conv)(h) : (*resnet)(h, time);
  if (pyramid) {
    image = resample(Resampling::fir_down, image);
    h = (*skip_conv)(image) + h;
  }
  skips.push_back(h);
  return h;
}

MidBlock::MidBlock(const UNet2DPlan& plan) {
  const std::int64_t channels = plan.channels.back();
  ResBlockPlan block = plan.res_block(channels, channels);
  block.divisor = plan.mid_divisor;
  resnets.assign(2, ResBlock(block));
  if (!plan.mid_attention) return;
  auto groups = plan.attn_groups;
  if (!groups && !plan.scale_shift) groups = plan.groups_of(channels);
  const auto norm = groups ? std::optional(GroupNorm(channels, *groups, plan.eps)) : std::nullopt;
  attentions.push_back(attention_block(channels, plan.head_width, norm, plan.mid_divisor));
}

Tensor MidBlock::operator()(Tensor h, const Tensor& time) const {
  h = resnets[0](h, time);
  for (const auto& attention : attentions) h = attention(h);
  return resnets[1](h, time);
}

UpBlock::UpBlock(const UNet2DPlan& plan, const LevelPlan& level) : pyramid(level.pyramid()) {
  for (std::int64_t i = 0; i <= plan.layers; ++i) {
    const std::int64_t below = i == 0 ? level.in : level.out, skip = i == plan.layers ? level.skip : level.out;
    ResBlockPlan block = plan.res_block(below + skip, level.out, pyramid);
    // diffusers' AttnSkipUpBlock2D misses a parenthesis here, and published weights were trained so.
    if (pyramid && level.attention) block.groups = std::min<std::int64_t>(below + skip / 4, 32);
    resnets.emplace_back(block);
  }
  if (level.attention) attentions.assign(pyramid ? 1 : resnets.size(), attention_of(plan, level));
  if (!level.resamples) return;
  if (level.style == Style::convolution)
    conv.emplace(level.out, level.out, 3);
  else
    resnet = resampler(plan, level, Resampling::nearest_up, Resampling::fir_up);
  if (!pyramid) return;
  const std::int64_t groups = plan.res_block(level.out, level.out, true).groups;
  skip_norm.emplace(level.out, groups, plan.eps);
  skip_conv.emplace(level.out, image_channels, 3);
}

Tensor UpBlock::operator()(Tensor h, const Tensor& time, Tensors& skips, Tensor& image) const {
  const std::size_t plain = resnets.size() - attentions.size();  // residual blocks without attention come first
  for (std::size_t i = 0; i < resnets.size(); ++i) {
    h = resnets[i](concat({h, skips.back()}, 3), time);
    skips.pop_back();
    if (i >= plain) h = attentions[i - plain](h);
  }
  if (pyramid && image.defined()) image = resample(Resampling::fir_up, image);
  if (skip_conv) {
    const Tensor more = (*skip_conv)(skip_norm->then(Activation::silu, h));
    image = image.defined() ? image + more : more;
  }
  if (resnet) return (*resnet)(h, time);
  return conv ? (*conv)(upsample_nearest2(h)) : h;
}

}  // namespace costate
