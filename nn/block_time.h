// The time as residual blocks read it: each has a linear layer of its own on the one embedding, all of which are made at once.
#pragma once

#include <map>
#include <vector>

#include "core/tensor.h"

namespace costate {

struct ResBlock;

class BlockTime {
 public:
  BlockTime() = default;
  /// The activated embedding (n, width); undefined: blocks are not told the time.
  explicit BlockTime(const Tensor& embedding) : embedding_(embedding) {}
  /// ... and what these blocks make of it, those of one width together.
  BlockTime(const Tensor& embedding, const std::vector<const ResBlock*>& blocks);

  [[nodiscard]] bool defined() const { return embedding_.defined(); }
  [[nodiscard]] const Tensor& embedding() const { return embedding_; }
  /// A block's row a sample: gain and shift of its second norm (n, 2 channels), or the bias of its first convolution (n, channels), which is
  /// that layer's own with the time's.
  [[nodiscard]] Tensor of(const ResBlock& block) const;

 private:
  Tensor embedding_;
  std::map<const ResBlock*, Tensor> rows_;
};

}  // namespace costate
