// The encoder layer of transformers with the norms after the sums, as torch.nn.TransformerEncoderLayer names its keys
// (Vaswani et al. 2017, "Attention is all you need", section 3.1).
#pragma once

#include <vector>

#include "nn/from_keys.h"

namespace costate {

/// x = norm1(x + attention(x)); x = norm2(x + linear2(GELU(linear1(x)))), with the exact GELU.
struct EncoderLayer {
  Linear in_proj;  ///< to queries, keys and values, side by side
  Linear out_proj, linear1, linear2;
  LayerNorm norm1, norm2;
  std::int64_t heads = 1;

  EncoderLayer() = default;
  /// Of the sizes that lie under the keys below `prefix`; throws where `head_count` does not divide the width.
  EncoderLayer(const KeyShapes& keys, const std::string& prefix, std::int64_t head_count);

  static void fields(auto& self, auto&& visit) {
    visit("self_attn", self.in_proj);
    visit("self_attn.out_proj", self.out_proj);
    visit("linear1", self.linear1);
    visit("linear2", self.linear2);
    visit("norm1", self.norm1);
    visit("norm2", self.norm2);
  }

  /// (n, tokens, width) -> the same
  [[nodiscard]] Tensor operator()(const Tensor& x) const;
};

/// All layers "PREFIX.N" of a checkpoint; throws if there are none.
std::vector<EncoderLayer> encoder_layers_of(const KeyShapes& keys, const std::string& prefix, std::int64_t heads);

}  // namespace costate
