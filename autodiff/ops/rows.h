// Rows of a table by index, and the transpose. Indices are constants, not inputs.
#pragma once

#include "core/tensor.h"

namespace costate {

/// y[i] = table[index[i]]; table (rows, d), index (n) i32.
[[nodiscard]] Tensor gather_rows(const Tensor& table, const Tensor& index);
/// (rows, d) from g (n, d): row index[i] receives g[i].
[[nodiscard]] Tensor scatter_add_rows(const Tensor& g, const Tensor& index, std::int64_t rows);

}  // namespace costate
