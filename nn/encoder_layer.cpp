// A transformer's encoder layer: its sizes from keys, and its two sums.
#include "nn/encoder_layer.h"

#include <cmath>

#include "autodiff/ops/attention.h"
#include "autodiff/ops/gelu.h"
#include "autodiff/ops/split.h"

namespace costate {

EncoderLayer::EncoderLayer(const KeyShapes& keys, const std::string& prefix, std::int64_t head_count)
    : out_proj(linear_of(keys, prefix + ".self_attn.out_proj")),
      linear1(linear_of(keys, prefix + ".linear1")),
      linear2(linear_of(keys, prefix + ".linear2")),
      norm1(layer_norm_of(keys, prefix + ".norm1")),
      norm2(layer_norm_of(keys, prefix + ".norm2")),
      heads(head_count) {
  const Shape w = shape_of(keys, prefix + ".self_attn.in_proj_weight", 2);
  require(heads >= 1 && w[1] % heads == 0 && w[0] == 3 * w[1],
          "encoder layer: {} heads do not fit the checkpoint's {}.self_attn.in_proj_weight {}", heads, prefix, w);
  in_proj = Linear(w[1], w[0]);
  in_proj.weight_key = "in_proj_weight";
  in_proj.bias_key = "in_proj_bias";
}

std::vector<EncoderLayer> encoder_layers_of(const KeyShapes& keys, const std::string& prefix, std::int64_t heads) {
  std::vector<EncoderLayer> layers;
  for (std::int64_t i = 0; i < count_of(keys, prefix); ++i)
    layers.emplace_back(keys, fmt::format("{}.{}", prefix, i), heads);
  require(!layers.empty(), "encoder layers: the checkpoint has no keys {}.N", prefix);
  return layers;
}

Tensor EncoderLayer::operator()(const Tensor& x) const {
  const std::int64_t width = x.dim(2);
  const Tensors qkv = split(in_proj(x), 2, {width, width, width});
  const double scale = std::sqrt(static_cast<double>(heads) / static_cast<double>(width));
  const Tensor h = norm1(add(x, out_proj(attention(qkv[0], qkv[1], qkv[2], heads, scale))));
  return norm2(add(h, linear2(gelu(linear1(h)))));
}

}  // namespace costate
