// The residual block of diffusion U-Nets: two convolutions with norms, the time embedding between them.
#pragma once

#include <optional>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/slice.h"
#include "nn/conv2d.h"
#include "nn/group_norm.h"
#include "nn/linear.h"
#include "nn/resampling.h"

namespace costate {

/// What a residual block is made from.
struct ResBlockPlan {
  std::int64_t in = 0, out = 0;             ///< channels
  std::int64_t time = 0;                    ///< width of the time embedding
  std::int64_t groups = 1, groups_out = 1;  ///< of norm1 and norm2
  double eps = 1e-5;
  Activation activation = Activation::silu;
  bool scale_shift = false;  ///< the time scales and shifts norm2's result instead of being added before it
  double divisor = 1;        ///< of the sum with the shortcut
  Resampling resampling = Resampling::none;  ///< of both branches, after the first activation
  bool project = false;                      ///< a 1x1 convolution on the shortcut even where the channels agree
};

struct ResBlock {
  GroupNorm norm1;
  Conv2d conv1;
  Linear time_emb_proj;
  GroupNorm norm2;
  Conv2d conv2;
  std::optional<Conv2d> conv_shortcut;
  ResBlockPlan plan;

  ResBlock() = default;
  explicit ResBlock(const ResBlockPlan& p)
      : norm1(p.in, p.groups, p.eps),
        conv1(p.in, p.out, 3),
        time_emb_proj(p.time, p.scale_shift ? 2 * p.out : p.out),
        norm2(p.out, p.groups_out, p.eps),
        conv2(p.out, p.out, 3),
        plan(p) {
    if (p.project || p.in != p.out) conv_shortcut.emplace(p.in, p.out, 1);
  }

  static void fields(auto& self, auto&& visit) {
    visit("norm1", self.norm1);
    visit("conv1", self.conv1);
    visit("time_emb_proj", self.time_emb_proj);
    visit("norm2", self.norm2);
    visit("conv2", self.conv2);
    visit("conv_shortcut", self.conv_shortcut);
  }

  /// x (n, h, w, in), the activated time embedding (n, time) -> (n, h', w', out)
  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& time) const {
    const Tensor h = resample(plan.resampling, norm1.then(plan.activation, x));
    const Tensor residual = conv2(middle(h, time_emb_proj(time)));
    const Tensor shortcut = resample(plan.resampling, x);
    return lincomb(1 / plan.divisor, conv_shortcut ? (*conv_shortcut)(shortcut) : shortcut, 1 / plan.divisor, residual);
  }

 private:
  /// From the first activation to the second.
  [[nodiscard]] Tensor middle(const Tensor& h, const Tensor& time) const {
    if (!plan.scale_shift) return norm2.then(plan.activation, conv1(h, time));
    const Shape channels{h.dim(0), 1, 1, plan.out};
    const Tensor gain = reshape(slice(time, 1, 0, plan.out), channels) + 1;
    const Tensor shift = reshape(slice(time, 1, plan.out, plan.out), channels);
    return activate(plan.activation, norm2(conv1(h)) * gain + shift);
  }
};

}  // namespace costate
