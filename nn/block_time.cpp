// The time's rows for residual blocks, as few products.
#include "nn/block_time.h"

#include "nn/res_block.h"

namespace costate {
namespace {

/// Rows of blocks whose layers have one shape, and either all or none add it to a convolution's result.
Tensors rows_of(const std::vector<const ResBlock*>& blocks, const Tensor& embedding) {
  Tensors weights, biases, own;
  for (const ResBlock* b : blocks) {
    weights.push_back(b->time_emb_proj->weight);
    biases.push_back(b->time_emb_proj->bias);
    if (!b->plan.scale_shift) own.push_back(b->conv1.bias);
  }
  return linears(embedding, weights, biases, own);
}

}  // namespace

BlockTime::BlockTime(const Tensor& embedding, const std::vector<const ResBlock*>& blocks) : embedding_(embedding) {
  if (!embedding.defined()) return;
  std::map<std::pair<std::int64_t, bool>, std::vector<const ResBlock*>> alike;
  for (const ResBlock* b : blocks)
    if (b->time_emb_proj) alike[{b->plan.out, b->plan.scale_shift}].push_back(b);
  for (const auto& [what, group] : alike) {
    const Tensors rows = rows_of(group, embedding);
    for (std::size_t i = 0; i < group.size(); ++i) rows_[group[i]] = rows[i];
  }
}

Tensor BlockTime::of(const ResBlock& block) const {
  const auto made = rows_.find(&block);
  return made == rows_.end() ? rows_of({&block}, embedding_)[0] : made->second;
}

}  // namespace costate
