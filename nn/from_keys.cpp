// Layers of the sizes that the keys of a checkpoint say.
#include "nn/from_keys.h"

namespace costate {
namespace {

Tensor bias_of(const KeyShapes& keys, const std::string& prefix, std::int64_t width) {
  return keys.count(prefix + ".bias") != 0 ? parameter({width}) : Tensor();
}

}  // namespace

const Shape& shape_of(const KeyShapes& keys, const std::string& key, int rank) {
  const auto at = keys.find(key);
  require(at != keys.end(), "the checkpoint lacks the key {}, from which the structure is read", key);
  require(at->second.rank() == rank, "the checkpoint's {} should have {} axes, but its shape is {}", key, rank,
          at->second);
  return at->second;
}

void confirm(const Config& config, const std::string& option, std::int64_t in_keys) {
  if (config.integer(option, in_keys) != in_keys)
    config.unsupported(option, fmt::format("the keys of the checkpoint say {}", in_keys));
}

std::int64_t count_of(const KeyShapes& keys, const std::string& prefix) {
  for (std::int64_t i = 0;; ++i) {
    const std::string each = join_key(prefix, std::to_string(i));
    const auto at = keys.lower_bound(each);  // '.' sorts before digits, so "3." comes before "30"
    if (at == keys.end() || (at->first != each && at->first.rfind(each + ".", 0) != 0)) return i;
  }
}

Linear linear_of(const KeyShapes& keys, const std::string& prefix) {
  const auto at = keys.find(prefix + ".weight");
  const bool convolution = at != keys.end() && at->second.rank() > 2;  // 1x1, in one dimension or two
  const Shape w = shape_of(keys, prefix + ".weight", convolution ? at->second.rank() : 2);
  Linear layer(w[1], w[0], convolution ? Layout::either : Layout::linear);
  layer.bias = bias_of(keys, prefix, w[0]);
  return layer;
}

Conv2d conv_of(const KeyShapes& keys, const std::string& prefix, const ConvGeometry& geometry) {
  const Shape w = shape_of(keys, prefix + ".weight", 4);
  Conv2d layer;
  layer.weight = parameter({w[2], w[3], w[1], w[0]});
  layer.bias = bias_of(keys, prefix, w[0]);
  layer.geometry = geometry;
  return layer;
}

Conv2d conv_of(const KeyShapes& keys, const std::string& prefix) {
  const Shape w = shape_of(keys, prefix + ".weight", 4);
  require(w[2] % 2 == 1 && w[3] % 2 == 1, "the checkpoint's {}.weight should be (out, in, k, k) with odd k, is {}",
          prefix, w);
  return conv_of(keys, prefix, same_padding(w[2], w[3]));
}

TransposedConv2d transposed_conv_of(const KeyShapes& keys, const std::string& prefix, const ConvGeometry& geometry) {
  const Shape w = shape_of(keys, prefix + ".weight", 4);
  return {parameter({w[2], w[3], w[1], w[0]}), bias_of(keys, prefix, w[1]), geometry};
}

LayerNorm layer_norm_of(const KeyShapes& keys, const std::string& prefix) {
  return LayerNorm(shape_of(keys, prefix + ".weight", 1)[0]);
}

ImageNorm image_norm_of(const KeyShapes& keys, const std::string& prefix) {
  const Shape w = shape_of(keys, prefix + ".weight", 3);
  return {w[1], w[2], w[0]};
}

BatchNorm batch_norm_of(const KeyShapes& keys, const std::string& prefix) {
  return BatchNorm(shape_of(keys, prefix + ".weight", 1)[0], keys.count(prefix + ".num_batches_tracked") != 0);
}

GroupNorm group_norm_of(const KeyShapes& keys, const std::string& prefix, std::int64_t groups, double eps) {
  return {shape_of(keys, prefix + ".weight", 1)[0], groups, eps};
}

}  // namespace costate
