// Attention pooling of an image to a vector (CLIP's, as guided-diffusion's classifiers use it).
#pragma once

#include <cmath>

#include "autodiff/ops/attention.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/split.h"
#include "nn/linear.h"
#include "nn/pixel_mean.h"

namespace costate {

/// Tokens are the mean, then the pixels in rows; each has a learned position; only the mean's answer is read.
struct AttentionPool {
  Tensor positional_embedding;  ///< (c, 1 + pixels)
  Linear qkv_proj, c_proj;
  std::int64_t heads = 1;

  AttentionPool() = default;
  AttentionPool(std::int64_t channels, std::int64_t size, std::int64_t head_width, std::int64_t out)
      : positional_embedding(parameter({channels, 1 + size * size})),
        qkv_proj(channels, 3 * channels, Layout::either),
        c_proj(channels, out, Layout::either),
        heads(channels / head_width) {}

  static void fields(auto& self, auto&& visit) {
    visit("positional_embedding", self.positional_embedding);
    visit("qkv_proj", self.qkv_proj);
    visit("c_proj", self.c_proj);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    const std::int64_t n = x.dim(0), pixels = x.dim(1) * x.dim(2), c = x.dim(3);
    require(positional_embedding.shape() == Shape{c, 1 + pixels},
            "attention pool: positions {} are for images of another size than {}", positional_embedding.shape(),
            x.shape());
    const Tensor tokens = concat({reshape(pixel_mean(x), {n, 1, c}), reshape(x, {n, pixels, c})}, 1);
    const Tensor all = add(tokens, reshape(permute(positional_embedding, {1, 0}), {1, 1 + pixels, c}));
    const Tensors qkv = split(qkv_proj(all), 2, {c, c, c});
    const Tensor y =
        attention(slice(qkv[0], 1, 0, 1), qkv[1], qkv[2], heads, 1 / std::sqrt(static_cast<double>(c / heads)));
    return c_proj(reshape(y, {n, c}));
  }
};

}  // namespace costate
