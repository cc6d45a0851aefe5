// Self-attention over the pixels of an image, with its residual: (x + out(attention(norm(x)))) / divisor.
#pragma once

#include <cmath>
#include <optional>

#include "autodiff/ops/attention.h"
#include "nn/group_norm.h"
#include "nn/linear.h"

namespace costate {

struct AttentionBlock {
  std::optional<GroupNorm> group_norm;  ///< absent in the mid block of diffusers' scale_shift networks
  Linear to_q, to_k, to_v, to_out;
  std::int64_t heads = 1;
  double divisor = 1;

  AttentionBlock() = default;
  /// As many heads of `head_width` channels as go into the image's; what is left over is not attended to, as in
  /// diffusers.
  AttentionBlock(std::int64_t channels, std::int64_t head_width, std::optional<GroupNorm> norm, double divide)
      : group_norm(std::move(norm)), heads(channels / head_width), divisor(divide) {
    require(heads >= 1, "attention: a head of {} channels does not fit into {} channels", head_width, channels);
    const std::int64_t inner = heads * head_width;
    to_q = to_k = to_v = Linear(channels, inner, Layout::either);
    to_out = Linear(inner, channels, Layout::either);
  }

  static void fields(auto& self, auto&& visit) {
    visit("group_norm", self.group_norm);
    visit("to_q", self.to_q);
    visit("to_k", self.to_k);
    visit("to_v", self.to_v);
    visit("to_out.0", self.to_out);
  }

  /// (n, h, w, c) -> the same; tokens run row by row.
  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    const Tensor tokens = reshape(group_norm ? (*group_norm)(x) : x, {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)});
    const std::int64_t head_width = to_q.bias.dim(0) / heads;
    const double scale = 1 / std::sqrt(static_cast<double>(head_width));
    const Tensor mixed = to_out(attention(to_q(tokens), to_k(tokens), to_v(tokens), heads, scale));
    return lincomb(1 / divisor, x, 1 / divisor, reshape(mixed, x.shape()));
  }
};

}  // namespace costate
