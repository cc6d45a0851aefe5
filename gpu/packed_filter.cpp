// The transposition of weights, made once for weights that stay.
#include "gpu/packed_filter.h"

#include <fmt/format.h>

#include "core/kernels/copy.h"

namespace costate::cuda {

Shape packed_shape(const Shape& w) { return {w[3], w[0], w[1], w[2]}; }

Tensor turned(const Tensor& t, std::int64_t line) {
  const std::int64_t width = t.dim(t.rank() - 1), terms = t.size() / width;
  Tensor rows = Tensor::empty({width, line}, t.kind());
  copy_kernel(t.device(), {.rank = 2, .extent = {terms, width}, .from_step = {width, 1}, .to_step = {1, line}}, t,
              rows);
  return rows;
}

Tensor packed_filter(const Tensor& w) {
  const auto pack = [&] { return turned(w, w.size() / w.dim(3)).reshaped(packed_shape(w.shape())); };
  return *w.storage().derived<Tensor>(fmt::format("packed {} {} {}", w.offset(), name_of(w.dtype()), w.shape()), pack);
}

void unpack_filter(const Tensor& packed, Tensor& w) {
  const std::int64_t terms = w.size() / w.dim(3), out = w.dim(3);
  const CopyBox turned{.rank = 2, .extent = {terms, out}, .from_step = {1, terms}, .to_step = {out, 1}};
  copy_kernel(w.device(), turned, packed, w);
}

}  // namespace costate::cuda
