// Building and running the blocks of UNet2D (diffusers' unet_2d_blocks).
#include "nn/unet2d_blocks.h"

#include <algorithm>
#include <numbers>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"

namespace costate {
namespace {

using Style = LevelPlan::Style;
constexpr std::int64_t image_channels = 3;  // of a pyramid

/// The residual block that changes the size of a level.
ResBlock resampler(const UNet2DPlan& plan, const LevelPlan& level, Resampling plain, Resampling fir) {
  ResBlockPlan block = plan.res_block(level.out, level.out, level.divisor, level.pyramid());
  block.resampling = level.pyramid() ? fir : plain;
  block.project = level.pyramid();
  return ResBlock(block);
}

bool attends(const LevelPlan& level) { return level.attention.kind != AttentionChoice::Kind::none; }

KPlan k_plan(const UNet2DPlan& plan, const LevelPlan& level) {
  return {.middle = level.out,
          .time = plan.embedding.block_width(),
          .eps = plan.eps,
          .activation = plan.activation,
          .attends = attends(level),
          .head_width = level.attention.head_width,
          .context = level.attention.context};
}

}  // namespace

DownBlock::DownBlock(const UNet2DPlan& plan, const LevelPlan& level)
    : pyramid(level.pyramid()), raw_time(level.raw_time), joins(level.joins) {
  if (level.style == Style::k) {
    KPlan down = k_plan(plan, level);
    down.in = level.in, down.out = level.out, down.layers = level.layers;
    down.attends_to_pixels = !level.resamples;
    if (level.resamples) down.change = Resampling::mirrored_down;
    k.emplace(down);
    return;
  }
  for (std::int64_t i = 0; i < level.layers; ++i) {
    resnets.emplace_back(plan.res_block(i == 0 ? level.in : level.out, level.out, level.divisor, pyramid));
    if (attends(level)) attentions.emplace_back(level.attention, level.out, resnets.size() - 1);
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

Tensor DownBlock::operator()(Tensor h, const BlockInputs& in, Tensors& skips, Tensor& image) const {
  if (k) {
    h = (*k)(h, in.raw_time.embedding(), in.context);
    if (joins) skips.push_back(h);
    return resample(k->change, h);
  }
  const BlockTime& time = raw_time ? in.raw_time : in.time;
  for (std::size_t i = 0; i < resnets.size(); ++i) {
    h = resnets[i](std::move(h), time);
    if (!attentions.empty()) h = attentions[i](h, in.context);
    skips.push_back(h);
  }
  if (!conv && !resnet) return h;
  h = conv ? (*conv)(h) : (*resnet)(std::move(h), time);
  if (pyramid) {
    image = resample(Resampling::fir_down, image);
    h = (*skip_conv)(image) + h;
  }
  skips.push_back(h);
  return h;
}

MidBlock::MidBlock(const UNet2DPlan& plan) : raw_time(plan.mid.raw_time) {
  const std::int64_t channels = plan.channels.back();
  const ResBlock block(plan.res_block(channels, channels, plan.mid.divisor));
  resnets.assign(static_cast<std::size_t>(plan.mid.layers), block);
  if (plan.mid.attention.kind == AttentionChoice::Kind::none) return;
  for (std::size_t i = 0; i + 1 < resnets.size(); ++i) attentions.emplace_back(plan.mid.attention, channels, i);
}

Tensor MidBlock::operator()(Tensor h, const BlockInputs& in) const {
  const BlockTime& time = raw_time ? in.raw_time : in.time;
  for (std::size_t i = 0; i < resnets.size(); ++i) {
    h = resnets[i](std::move(h), time);
    if (i < attentions.size()) h = attentions[i](h, in.context);
  }
  return h;
}

UpBlock::UpBlock(const UNet2DPlan& plan, const LevelPlan& level)
    : pyramid(level.pyramid()), raw_time(level.raw_time), joins(level.joins) {
  if (level.style == Style::k) {
    KPlan up = k_plan(plan, level);
    up.in = joins ? 2 * level.out : level.out, up.out = level.skip, up.layers = level.layers - 1;
    up.attends_to_pixels = !joins;
    if (level.resamples) up.change = Resampling::mirrored_up;
    k.emplace(up);
    return;
  }
  for (std::int64_t i = 0; i < level.layers; ++i) {
    const std::int64_t below = i == 0 ? level.in : level.out;
    const std::int64_t skip = !joins ? 0 : i + 1 == level.layers ? level.skip : level.out;
    ResBlockPlan block = plan.res_block(below + skip, level.out, level.divisor, pyramid);
    // diffusers' AttnSkipUpBlock2D misses a parenthesis here, and published weights were trained so.
    if (pyramid && attends(level)) block.groups = std::min<std::int64_t>(below + skip / 4, 32);
    resnets.emplace_back(block);
  }
  const std::size_t count = !attends(level) ? 0 : pyramid ? 1 : resnets.size();
  for (std::size_t i = 0; i < count; ++i) attentions.emplace_back(level.attention, level.out, i);
  if (!level.resamples) return;
  if (level.style == Style::convolution)
    conv.emplace(level.out, level.out, 3);
  else
    resnet = resampler(plan, level, Resampling::nearest_up, Resampling::fir_up);
  if (!pyramid) return;
  const std::int64_t groups = plan.res_block(level.out, level.out, 1, true).groups;
  skip_norm.emplace(level.out, groups, plan.eps);
  skip_conv.emplace(level.out, image_channels, 3);
}

Tensor UpBlock::operator()(Tensor h, const BlockInputs& in, Tensors& skips, Tensor& image) const {
  if (k) {
    if (joins) {
      h = concat({h, skips.back()}, 3);
      skips.pop_back();
    }
    return resample(k->change, (*k)(h, in.raw_time.embedding(), in.context));
  }
  const BlockTime& time = raw_time ? in.raw_time : in.time;
  const std::size_t plain = resnets.size() - attentions.size();  // residual blocks without attention come first
  for (std::size_t i = 0; i < resnets.size(); ++i) {
    if (joins) {
      h = concat({h, skips.back()}, 3);
      skips.pop_back();
    }
    h = resnets[i](std::move(h), time);
    if (i >= plain) h = attentions[i - plain](h, in.context);
  }
  if (pyramid && image.defined()) image = resample(Resampling::fir_up, image);
  if (skip_conv) {
    const Tensor more = (*skip_conv)(skip_norm->then(Activation::silu, h));
    image = image.defined() ? image + more : more;
  }
  if (resnet) return (*resnet)(std::move(h), time);
  if (!conv) return h;
  const Shape size = joins ? skips.back().shape() : Shape{0, 2 * h.dim(1), 2 * h.dim(2)};
  return (*conv)(resize_nearest(h, size[1], size[2]));
}

}  // namespace costate
