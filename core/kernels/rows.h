// Table rows by index: gather, and its transpose.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

namespace cpu {
void gather_rows(const Tensor& table, const Tensor& index, Tensor& y);
void scatter_add_rows(const Tensor& g, const Tensor& index, Tensor& table);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::gather_rows) gather_rows;
[[gnu::weak]] decltype(cpu::scatter_add_rows) scatter_add_rows;
}  // namespace cuda

/// y[i] = table[index[i]]; table (rows, d), index (n) i32, y (n, d). An index outside the table throws.
inline constexpr Kernel<void(const Tensor&, const Tensor&, Tensor&)> gather_rows_kernel{"gather_rows", cpu::gather_rows,
                                                                                        cuda::gather_rows};
/// table[index[i]] += g[i] in the order of i, from zero; g (n, d), table (rows, d).
inline constexpr Kernel<void(const Tensor&, const Tensor&, Tensor&)> scatter_add_rows_kernel{
    "scatter_add_rows", cpu::scatter_add_rows, cuda::scatter_add_rows};

}  // namespace costate
