// Gather and scatter of table rows on the CPU.
#include "core/kernels/rows.h"

#include <algorithm>
#include <vector>

#include "core/kernels/pointwise.h"

namespace costate {
namespace {

std::int64_t checked(const char* op, std::int32_t i, std::int64_t rows) {
  require(i >= 0 && i < rows, "{}: index {} is outside a table of {} rows", op, i, rows);
  return i;
}

}  // namespace

void cpu::gather_rows(const Tensor& table, const Tensor& index, Tensor& y) {
  const std::int64_t d = table.dim(1), rows = table.dim(0);
  const auto* at = index.data<std::int32_t>();
  visit_dtype(table.dtype(), [&](auto tag) {
    using T = decltype(tag);
    for (std::int64_t i = 0; i < index.size(); ++i) {
      const T* row = table.data<T>() + checked("gather_rows", at[i], rows) * d;
      std::copy_n(row, d, y.mutable_data<T>() + i * d);
    }
  });
}

void cpu::scatter_add_rows(const Tensor& g, const Tensor& index, Tensor& table) {
  const std::int64_t d = table.dim(1), rows = table.dim(0);
  const auto* at = index.data<std::int32_t>();
  std::vector<double> sum(static_cast<std::size_t>(table.size()));
  visit_dtype(g.dtype(), [&](auto tag) {
    using T = decltype(tag);
    for (std::int64_t i = 0; i < index.size(); ++i) {
      double* row = sum.data() + checked("scatter_add_rows", at[i], rows) * d;
      for (std::int64_t k = 0; k < d; ++k) row[k] += static_cast<double>(widen(g.data<T>()[i * d + k]));
    }
    T* out = table.mutable_data<T>();
    for (std::size_t k = 0; k < sum.size(); ++k) out[k] = narrow<T>(sum[k]);
  });
}

}  // namespace costate
