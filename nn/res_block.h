// The residual block of diffusion U-Nets: two convolutions with norms, the time embedding between them.
#pragma once

#include <optional>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/split.h"
#include "nn/block_time.h"
#include "nn/conv2d.h"
#include "nn/group_norm.h"
#include "nn/linear.h"
#include "nn/resampling.h"

namespace costate {

/// What a family's checkpoints call the parts of a residual block.
struct ResBlockNames {
  const char* norm1 = "norm1";
  const char* conv1 = "conv1";
  const char* time = "time_emb_proj";
  const char* code = "";  ///< of the second condition
  const char* norm2 = "norm2";
  const char* conv2 = "conv2";
  const char* shortcut = "conv_shortcut";
};

/// What a residual block is made from.
struct ResBlockPlan {
  std::int64_t in = 0, out = 0;             ///< channels
  std::int64_t time = 0;                    ///< width of the time embedding; 0: the block is not told the time
  std::int64_t groups = 1, groups_out = 1;  ///< of norm1 and norm2
  double eps = 1e-5;
  Activation activation = Activation::silu;
  bool scale_shift = false;  ///< the time scales and shifts norm2's result instead of being added before it
  double divisor = 1;        ///< of the sum with the shortcut
  Resampling resampling = Resampling::none;  ///< of both branches, after the first activation
  bool project = false;                      ///< a 1x1 convolution on the shortcut even where the channels agree
  Filter filter = ncsnpp_filter();           ///< of FIR resampling
  bool stores_filter = false;                ///< checkpoints hold the filter of a block that resamples, as EDM's do
  std::int64_t code = 0;                     ///< width of a second condition, which scales after the time (DiffAE)
  bool second_half = true;                   ///< false: norm, activation and convolution once (DiffAE's encoder)
  bool nin = false;                          ///< the shortcut is score_sde's NIN: a matrix W (in, out) and b
  ResBlockNames names = {};
};

struct ResBlock {
  GroupNorm norm1;
  Conv2d conv1;
  std::optional<Linear> time_emb_proj, code_proj;
  std::optional<GroupNorm> norm2;
  std::optional<Conv2d> conv2;
  std::optional<Linear> conv_shortcut;
  Tensor filter, shortcut_filter;  ///< (1, 1, k, k) where checkpoints store them
  ResBlockPlan plan;

  ResBlock() = default;
  explicit ResBlock(const ResBlockPlan& p) : norm1(p.in, p.groups, p.eps), conv1(p.in, p.out, 3), plan(p) {
    if (p.time > 0) time_emb_proj.emplace(p.time, p.scale_shift ? 2 * p.out : p.out);
    if (p.code > 0) code_proj.emplace(p.code, p.out);
    if (p.second_half) norm2.emplace(p.out, p.groups_out, p.eps), conv2.emplace(p.out, p.out, 3);
    if (p.project || p.in != p.out)
      conv_shortcut = p.nin ? nin_layer(p.in, p.out) : Linear(p.in, p.out, Layout::either);
    if (p.stores_filter && p.resampling != Resampling::none) {
      const auto taps = static_cast<std::int64_t>(p.filter.size());
      filter = shortcut_filter = parameter({1, 1, taps, taps});
    }
  }

  static void fields(auto& self, auto&& visit) {
    const ResBlockNames& names = self.plan.names;
    visit(names.norm1, self.norm1);
    visit(names.conv1, self.conv1);
    visit(join_key(names.conv1, "resample_filter").c_str(), self.filter, Layout::plain, true);
    visit(names.time, self.time_emb_proj);
    visit(names.code, self.code_proj);
    visit(names.norm2, self.norm2);
    visit(names.conv2, self.conv2);
    visit(names.shortcut, self.conv_shortcut);
    visit(join_key(names.shortcut, "resample_filter").c_str(), self.shortcut_filter, Layout::plain, true);
  }

  static void neighbours(auto& self, auto&& visit) {
    if (!self.time_emb_proj) return;
    visit("time", self.time_emb_proj->weight);
    visit("time", self.time_emb_proj->bias);
    if (!self.plan.scale_shift) visit("shifted", self.conv1.bias);
  }

  /// x (n, h, w, in), the time (undefined: it is not added) and the activated second condition (n, code) -> (n, h', w', out)
  [[nodiscard]] Tensor operator()(Tensor h, const BlockTime& time, const Tensor& code = {}) const {
    const Filter taps = filter.defined() ? filter_from(filter) : plan.filter;
    // The shortcut first, so that on the way back its cotangent, as wide as x, is the last that is made.
    const Tensor side = resample(plan.resampling, h, taps);
    const LinearTerm shortcut = conv_shortcut ? conv_shortcut->term(side) : LinearTerm{};
    h = resample(plan.resampling, norm1.then(plan.activation, h), taps);
    if (conv2) h = middle(std::move(h), time, code);
    const Conv2d& last = conv2 ? *conv2 : conv1;
    return scale(conv_shortcut ? last.and_linear(h, shortcut) : last(h, {}, side), 1 / plan.divisor);
  }

 private:
  /// From the first activation to the second.
  [[nodiscard]] Tensor middle(Tensor h, const BlockTime& time, const Tensor& code) const {
    const Tensor t = time_emb_proj && time.defined() ? time.of(*this) : Tensor();
    const bool added = !plan.scale_shift || !t.defined();
    h = conv2d(h, conv1.weight, added && t.defined() ? t : conv1.bias, conv1.geometry);
    if (added) return norm2->then(plan.activation, h);
    const Tensors both = split(reshape(t, {h.dim(0), 1, 1, 2 * plan.out}), 3, {plan.out, plan.out});
    Tensor gain = both[0] + 1, shift = both[1];
    if (code_proj) {  // (y gain + shift) more = y (gain more) + shift more, as vectors
      const Tensor more = reshape((*code_proj)(code), shift.shape()) + 1;
      gain = gain * more;
      shift = shift * more;
    }
    h = (*norm2)(h);
    return activate(plan.activation, h * gain + shift);
  }
};

}  // namespace costate
