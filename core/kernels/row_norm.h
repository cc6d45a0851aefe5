// Group norm of images that are one pixel and one group: layer norm. A row stays in the first cache while it is passed over.
#pragma once

#include <vector>

#include "core/kernels/group_norm.h"
#include "core/kernels/pointwise.h"

namespace costate::cpu {

/// Whether these loops are meant: chosen by the image's shape alone.
inline bool is_row_norm(const GroupNormSpec& spec, const Tensor& x) {
  return spec.groups == 1 && x.dim(1) == 1 && x.dim(2) == 1;
}

/// As group_norm and group_norm_vjp.
void row_norm(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor& y);
void row_norm_vjp(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& g,
                  const Tensor& addend, GroupNormGrads& grads);

/// out[c] = the sum over i of parts[i][c], in order; nothing where out is undefined.
template <class T>
void add_parts(const std::vector<double>& parts, Tensor& out) {
  if (!out.defined()) return;
  const auto width = static_cast<std::size_t>(out.size());
  T* to = out.mutable_data<T>();
  for (std::size_t c = 0; c < width; ++c) {
    double sum = 0;
    for (std::size_t i = c; i < parts.size(); i += width) sum += parts[i];
    to[c] = narrow<T>(sum);
  }
}

}  // namespace costate::cpu
