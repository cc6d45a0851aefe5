// Table rows by index: gather, and its transpose.
#include "core/kernels/rows.h"

#include "gpu/elementwise.h"

namespace costate::cuda {
namespace {

/// Indices are few and lie on the host: they are checked there, before a kernel can read beside the table.
Tensor checked(const char* op, const Tensor& index, std::int64_t rows) {
  for (std::int64_t i = 0; i < index.size(); ++i) {
    const auto at = index.data<std::int32_t>()[i];
    require(at >= 0 && at < rows, "{}: index {} is outside a table of {} rows", op, at, rows);
  }
  return index.to(Device::cuda);
}

template <class T>
__global__ void gather_kernel(std::int64_t count, std::int64_t d, const T* table, const std::int32_t* index, T* y) {
  kernel_begins();
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride)
    y[i] = table[index[i / d] * d + i % d];
}

/// A thread an element of the table, which looks for its row in the whole list: no two threads write to one place.
template <class T>
__global__ void scatter_kernel(std::int64_t count, std::int64_t d, std::int64_t n, const T* g,
                               const std::int32_t* index, T* table) {
  kernel_begins();
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < count; at += stride) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      if (index[i] == at / d) sum += widen(g[i * d + at % d]);
    }
    table[at] = narrow<T>(sum);
  }
}

}  // namespace

void gather_rows(const Tensor& table, const Tensor& index, Tensor& y) {
  const Tensor at = checked("gather_rows", index, table.dim(0));
  if (y.size() == 0) return;
  visit_dtype(table.dtype(), [&](auto tag) {
    using T = decltype(tag);
    launch("gather_rows", blocks_for(y.size()), dim3(256), gather_kernel<T>, y.size(), table.dim(1),
           table.device_data<T>(), at.device_data<std::int32_t>(), y.mutable_device_data<T>());
  });
}

void scatter_add_rows(const Tensor& g, const Tensor& index, Tensor& table) {
  const Tensor at = checked("scatter_add_rows", index, table.dim(0));
  if (table.size() == 0) return;
  visit_dtype(g.dtype(), [&](auto tag) {
    using T = decltype(tag);
    launch("scatter_add_rows", blocks_for(table.size()), dim3(256), scatter_kernel<T>, table.size(), table.dim(1),
           index.size(), g.device_data<T>(), at.device_data<std::int32_t>(), table.mutable_device_data<T>());
  });
}

}  // namespace costate::cuda
