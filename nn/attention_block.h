// Self-attention over the pixels of an image, with its residual: (x + out(attention(norm(x)))) / divisor.
#pragma once

#include <array>
#include <cmath>
#include <optional>

#include "autodiff/ops/attention.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/split.h"
#include "nn/again.h"
#include "nn/group_norm.h"
#include "nn/linear.h"

namespace costate {

/// What a family's checkpoints call the parts of an attention block.
struct AttentionNames {
  const char* norm = "group_norm";
  std::array<const char*, 3> qkv = {"to_q", "to_k", "to_v"};  ///< one name where the three are one matrix
  const char* out = "to_out.0";
  const char* out_2 = "";
};

/// What an attention block is made from.
struct AttentionPlan {
  /// Who finds q, k and v of a head where: apart, or as one matrix whose columns count, slowest first, so.
  enum class Order { apart, qkv_head_channel, head_qkv_channel, head_channel_qkv };

  std::int64_t channels = 0, heads = 1;
  std::int64_t head_width = 0;
  std::optional<GroupNorm> norm = {};  ///< absent in the mid block of diffusers' scale_shift networks
  Order order = Order::apart;
  bool qkv_bias = true;
  double divisor = 1;
  bool nin = false;      ///< all matrices are score_sde's NIN
  bool two_out = false;  ///< two linear layers after attention (smalldiffusion)
  AttentionNames names = {};
};

struct AttentionBlock {
  std::optional<GroupNorm> group_norm;
  std::vector<Linear> to_qkv;  ///< three, or one
  Linear to_out;
  std::optional<Linear> to_out_2;
  AttentionPlan plan;

  AttentionBlock() = default;
  explicit AttentionBlock(const AttentionPlan& p) : group_norm(p.norm), plan(p) {
    require(p.heads >= 1 && p.head_width >= 1, "attention: {} heads of {} channels do not fit {} channels", p.heads,
            p.head_width, p.channels);
    const std::int64_t inner = p.heads * p.head_width;
    const bool apart = p.order == AttentionPlan::Order::apart;
    const auto layer = [&](std::int64_t in, std::int64_t out, bool bias) {
      if (p.nin) return nin_layer(in, out);
      return bias ? Linear(in, out, Layout::either) : Linear::without_bias(in, out, Layout::either);
    };
    to_qkv.assign(apart ? 3 : 1, layer(p.channels, apart ? inner : 3 * inner, p.qkv_bias));
    to_out = layer(inner, p.channels, true);
    if (p.two_out) to_out_2 = layer(p.channels, p.channels, true);
  }

  static void fields(auto& self, auto&& visit) {
    const AttentionNames& names = self.plan.names;
    visit(names.norm, self.group_norm);
    for (std::size_t i = 0; i < self.to_qkv.size(); ++i) visit(names.qkv[i], self.to_qkv[i]);
    visit(names.out, self.to_out);
    visit(names.out_2, self.to_out_2);
  }

  static void neighbours(auto& self, auto&& visit) {
    if (self.plan.order != AttentionPlan::Order::apart) return;
    for (auto& l : self.to_qkv) visit("qkv", l.weight);
    for (auto& l : self.to_qkv) visit("qkv", l.bias);
  }

  /// (n, h, w, c) -> the same; tokens run row by row.
  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    const double scale = 1 / std::sqrt(static_cast<double>(plan.head_width));
    const Tensors qkv = again_on_the_way_back(*this, x, [](const AttentionBlock& b, const Tensor& t) {
      return b.project(as_tokens(b.group_norm ? (*b.group_norm)(t) : t));
    });
    const Tensor mixed = attention(qkv[0], qkv[1], qkv[2], plan.heads, scale), image = as_tokens(x);
    const Tensor sum = to_out_2 ? (*to_out_2)(to_out(mixed), image) : to_out(mixed, image);
    return costate::scale(reshape(sum, x.shape()), 1 / plan.divisor);
  }

 private:
  [[nodiscard]] static Tensor as_tokens(const Tensor& x) {
    return reshape(x, {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)});
  }

  /// q, k, v (n, t, heads * head_width) of tokens (n, t, c).
  [[nodiscard]] Tensors project(const Tensor& tokens) const {
    using Order = AttentionPlan::Order;
    if (plan.order == Order::apart) return linears_of({&to_qkv[0], &to_qkv[1], &to_qkv[2]}, tokens);
    const std::int64_t n = tokens.dim(0), t = tokens.dim(1), inner = plan.heads * plan.head_width;
    const Shape shape = plan.order == Order::qkv_head_channel   ? Shape{n, t, 3, inner}
                        : plan.order == Order::head_qkv_channel ? Shape{n, t, plan.heads, 3, plan.head_width}
                                                                : Shape{n, t, inner, 3};
    const int axis = plan.order == Order::qkv_head_channel ? 2 : 3;
    Tensors parts = split(reshape(to_qkv[0](tokens), shape), axis, {1, 1, 1});
    for (Tensor& part : parts) part = reshape(part, {n, t, inner});
    return parts;
  }
};

}  // namespace costate
