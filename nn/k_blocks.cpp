// Building and running K blocks.
#include "nn/k_blocks.h"

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/split.h"

namespace costate {
namespace {

constexpr std::int64_t group_width = 32;  // channels of a group, whatever the configuration says

Tensor as_tokens(const Tensor& x) { return reshape(x, {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)}); }

AdaResBlock res_block(const KPlan& plan, std::int64_t in, std::int64_t middle, std::int64_t out) {
  require(in >= group_width && plan.middle >= group_width, "K blocks: group {} channels by {}; there are {}", in,
          group_width, std::min(in, plan.middle));
  AdaResBlock block{.norm1 = AdaGroupNorm(in, plan.time, in / group_width, plan.eps),
                    .norm2 = AdaGroupNorm(middle, plan.time, plan.middle / group_width, plan.eps),
                    .conv1 = Conv2d(in, middle, 3),
                    .conv2 = Conv2d(middle, out, 3),
                    .conv_shortcut = {},
                    .activation = plan.activation};
  if (in != out) block.conv_shortcut = Linear::without_bias(in, out, Layout::either);
  return block;
}

AdaAttention ada_attention(const KPlan& plan, std::int64_t channels) {
  const std::int64_t heads = channels / plan.head_width, groups = std::max<std::int64_t>(1, channels / group_width);
  require(heads >= 1, "K blocks: a head of {} channels does not fit into {}", plan.head_width, channels);
  const std::int64_t context = plan.context > 0 ? plan.context : channels;
  const auto attention = [&](std::int64_t to) { return TokenAttention(channels, to, heads, plan.head_width, true); };
  AdaAttention a{.norm1 = {},
                 .attn1 = {},
                 .norm2 = AdaGroupNorm(channels, plan.time, groups),
                 .norm_cross = LayerNorm(context),
                 .attn2 = attention(context)};
  if (plan.attends_to_pixels) a.norm1 = a.norm2, a.attn1 = attention(channels);
  return a;
}

}  // namespace

AdaGroupNorm::AdaGroupNorm(std::int64_t channels, std::int64_t time, std::int64_t number, double epsilon)
    : linear(time, 2 * channels), groups(number), eps(epsilon) {
  require(channels % number == 0, "K blocks: {} channels do not divide into {} groups", channels, number);
}

Tensor AdaGroupNorm::operator()(const Tensor& x, const Tensor& time) const {
  const std::int64_t c = x.dim(3);
  const Tensors both = split(reshape(linear(time), {x.dim(0), 1, 1, 2 * c}), 3, {c, c});
  const Tensor plain = group_norm(x, Tensor::full({c}, 1, x.kind()), Tensor::zeros({c}, x.kind()), groups, eps);
  return plain * (both[0] + 1) + both[1];
}

Tensor AdaResBlock::operator()(const Tensor& x, const Tensor& time) const {
  const Tensor h = conv1(activate(activation, norm1(x, time)));
  const Tensor before = activate(activation, norm2(h, time));
  return conv2(before, {}, conv_shortcut ? (*conv_shortcut)(x) : x);
}

Tensor AdaAttention::operator()(Tensor x, const Tensor& time, const Context& context) const {
  if (attn1) {
    const Tensor pixels = as_tokens((*norm1)(x, time));
    x = reshape((*attn1)(pixels, pixels, context.pixel_bias, as_tokens(x)), x.shape());
  }
  const Tensor pixels = as_tokens(norm2(x, time));
  const bool crosses = context.tokens.defined();
  return reshape(crosses ? attn2(pixels, norm_cross(context.tokens), context.token_bias, as_tokens(x))
                         : attn2(pixels, pixels, context.pixel_bias, as_tokens(x)),
                 x.shape());
}

KLevel::KLevel(const KPlan& plan) : change(plan.change) {
  for (std::int64_t i = 0; i < plan.layers; ++i) {
    const std::int64_t in = i == 0 ? plan.in : plan.middle, out = i + 1 == plan.layers ? plan.out : plan.middle;
    // Without attention the last block narrows in its first convolution, with attention in its second.
    resnets.push_back(res_block(plan, in, plan.attends ? plan.middle : out, out));
    if (plan.attends) attentions.push_back(ada_attention(plan, out));
  }
}

Tensor KLevel::operator()(Tensor x, const Tensor& time, const Context& context) const {
  for (std::size_t i = 0; i < resnets.size(); ++i) {
    x = resnets[i](x, time);
    if (!attentions.empty()) x = attentions[i](x, time, context);
  }
  return x;
}

}  // namespace costate
