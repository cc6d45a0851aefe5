// Attention and its vjp in bf16: their two fused ways, and which of them is taken. Both give each row the bits that it has alone, but not
// each other's.
#pragma once

#include "core/kernels/attention.h"

namespace costate::cuda {

/// On tensor cores, by warps (mma.h). False, and nothing is done, where the kernels do not take it.
bool attend_by_warps(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y);

/// By warp groups (groups.cu, groups_vjp.cu), on chips that have them; as above.
bool attend_by_groups(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y);

/// The vjp by each.
bool attend_vjp_by_warps(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
                         AttentionGrads& grads);
bool attend_vjp_by_groups(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
                          AttentionGrads& grads);

/// Whether warp groups are to do it where they can: by one sample's tokens and the width of a head, never by the batch or the heads.
bool groups_pay(std::int64_t queries, std::int64_t keys, std::int64_t width);

}  // namespace costate::cuda
