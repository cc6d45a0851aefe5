// Building and evaluating UNet2D.
#include "nn/unet2d.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/rows.h"

namespace costate {
namespace {

using Kind = TimeProjection::Kind;
using Labels = UNet2DPlan::Labels;

TimeProjection time_projection(const UNet2DPlan& plan) {
  const std::int64_t c = plan.channels[0];
  if (plan.time == Kind::fourier)
    return {.kind = plan.time, .width = 2 * c, .cos_first = false, .weight = parameter({c})};
  if (plan.time == Kind::learned) return {.kind = plan.time, .width = c, .weight = parameter({plan.time_steps, c})};
  return {.kind = plan.time, .width = c, .cos_first = plan.cos_first, .freq_shift = plan.freq_shift, .weight = {}};
}

}  // namespace

UNet2D::UNet2D(const UNet2DPlan& p)
    : conv_in(p.in_channels, p.channels[0], 3),
      time_proj(time_projection(p)),
      time_embedding(time_proj.width, p.time_width),
      conv_norm_out(p.channels[0], p.groups_of(p.channels[0]), p.eps),
      conv_out(p.channels[0], p.out_channels, 3),
      plan(p) {
  if (p.labels == Labels::table) class_embedding.weight = parameter({p.classes, p.time_width});
  if (p.labels == Labels::timestep) class_embedding.mlp.emplace(time_proj.width, p.time_width);
  for (const auto& level : p.down) down_blocks.emplace_back(p, level);
  if (p.mid) mid_block.emplace(p);
  for (const auto& level : p.up) up_blocks.emplace_back(p, level);
}

void UNet2D::check(const Tensor& x) const {
  const std::int64_t step = std::int64_t{1} << (plan.down.size() - 1);
  require(x.rank() == 4 && x.dim(3) == plan.in_channels && x.dim(1) % step == 0 && x.dim(2) % step == 0,
          "unet2d: wants x (n, h, w, {}) with h and w divisible by {}, got {}", plan.in_channels, step, x.shape());
}

Tensor UNet2D::embed_classes(const Tensor& classes) const {
  require(plan.labels == Labels::table || plan.labels == Labels::timestep,
          "unet2d: labels were given to a network without a label table{}",
          plan.labels == Labels::identity ? "; it takes vectors (z)" : "");
  require(classes.rank() == 1 && classes.dtype() == DType::i32, "unet2d: labels are (n) i32, got {} {}",
          classes.shape(), name_of(classes.dtype()));
  const std::vector<double> labels = classes.to_vector();
  if (class_embedding.mlp) return (*class_embedding.mlp)(time_proj(labels, conv_in.weight.dtype()));
  for (const double label : labels)
    require(label >= 0 && label < static_cast<double>(plan.classes),
            "unet2d: label {} is outside this network's {} classes, 0 to {}", label, plan.classes, plan.classes - 1);
  return gather_rows(class_embedding.weight, classes);
}

Tensor UNet2D::embed(const Inputs& in, const std::vector<double>& t) const {
  Tensor e = time_embedding(time_proj(t, in.x.dtype()));
  const bool conditional = plan.labels != Labels::none;
  require(!(in.z.defined() && in.classes.defined()), "unet2d: takes labels or z, not both");
  require(conditional == (in.z.defined() || in.classes.defined()), "unet2d: this network {}",
          conditional ? "is conditional: it wants labels, or vectors (z) in their place"
                      : "takes no condition, but one was given");
  if (conditional) {
    const Tensor row = in.z.defined() ? in.z : embed_classes(in.classes);
    require(row.shape() == e.shape(), "unet2d: wants a condition (n, width) = {}, got {}", e.shape(), row.shape());
    e = e + row;
  }
  return activate(plan.activation, e);
}

Tensor UNet2D::operator()(const Inputs& in) const {
  check(in.x);
  const std::vector<double> t = per_row("times", in.t, in.x.dim(0));
  const Tensor time = embed(in, t);
  Tensor image = plan.centre ? in.x * 2 - 1 : in.x;
  Tensor h = conv_in(image);
  Tensors skips{h};
  for (const auto& block : down_blocks) h = block(h, time, skips, image);
  if (mid_block) h = (*mid_block)(h, time);
  image = Tensor();
  for (const auto& block : up_blocks) h = block(h, time, skips, image);
  h = conv_out(conv_norm_out.then(Activation::silu, h));
  if (image.defined()) h = h + image;
  if (plan.time != Kind::fourier) return h;
  std::vector<double> inverse;  // such networks are told sigma, and divide by it
  for (const double sigma : t) inverse.push_back(1 / sigma);
  return h * Tensor::from(inverse, {h.dim(0), 1, 1, 1}, h.dtype());
}

Signature UNet2D::signature() const {
  Signature s;
  s.input = {plan.height, plan.width, plan.in_channels};
  s.out_channels = plan.out_channels;
  s.classes = plan.classes;
  if (plan.labels != Labels::none) s.z = {plan.time_width};
  const auto attends = [](const LevelPlan& level) { return level.attention; };
  s.summary = fmt::format("U-Net, {} channels, {} residual blocks a level, attention in {} of {} levels",
                          fmt::join(plan.channels, "-"), plan.layers,
                          std::count_if(plan.down.begin(), plan.down.end(), attends), plan.down.size());
  return s;
}

std::vector<std::pair<std::string, std::string>> UNet2D::spellings() const {
  return {{"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}};
}

}  // namespace costate
